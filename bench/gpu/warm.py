"""Compiles the peers, beside the build: quick modes first, one process after the other.

What was compiled lies in torch's cache on disk, where the step `peers` finds it.
"""

from __future__ import annotations

import time

import torch

from gpu.peer_net import PeerNet, description
from gpu.peer_ways import MODES, compiled
from gpu.record import Record, message, program

NETS = ("par_inception", "par_densenet")


def compile_one(record: Record, name: str, mode: str) -> None:
    """Compiles a network in one mode, on random weights."""
    begin = time.perf_counter()
    nodes = description(name)
    net = PeerNet(nodes, None, device="cuda", dtype=torch.bfloat16)
    frame = torch.randn(1, *nodes[0]["shape"], device="cuda", dtype=torch.bfloat16)
    note = "compiled"
    try:
        compiled(net, mode, frame.contiguous(memory_format=torch.channels_last))
    except Exception as error:  # the other mode may still work
        note = message(error)
    torch._dynamo.reset()
    record.add(net=name, mode=mode, seconds=time.perf_counter() - begin, state=note)


def body(record: Record, dry: bool) -> None:
    if dry:
        record.note("dry: the step `peers` compiles what it takes")
        return
    for mode in MODES:
        for name in NETS:
            compile_one(record, name, mode)


if __name__ == "__main__":
    program("warm", body)
