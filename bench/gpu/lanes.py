"""The CPU of the same machine: lanes x wirings, against torch on as many threads."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pvnet
from gpu import networks
from gpu.networks import Net, Target
from gpu.record import Record, program
from gpu.timing import Ticker, alternate
from pvnet.runtime.machine import cpus_allowed, peak_gflops

sys.path.insert(0, str(Path(__file__).parents[1]))
from torch_eager import EagerStream

CASES = (("par_inception", 10), ("par_densenet", 14))
LANES = (1, 2, 4, 8, 16)
TICKS, ROUNDS = 4, 3
NEAR = 2e-4  # of the norm: float32 sums in another order


def nets(name: str, stages: int, where: Target) -> dict[str, Net]:
    """The three wirings."""
    return {
        "sequential": networks.net(name, 1, where),
        "pipelined": networks.net(name, stages, where),
        "predictive": networks.net(name, stages, where, wiring="predictive"),
    }


def way(stream: Any, frames: np.ndarray, ticks: int) -> Callable[[], float]:
    """Microseconds of a tick of one Stream, when called."""
    ticker = Ticker(stream, list(frames), real=False)
    ticker.us(1)
    return lambda: ticker.us(ticks)


class Torch:
    """Eager, frame by frame, on some threads; `tick` takes what a Stream takes."""

    def __init__(self, net: Net, threads: int) -> None:
        self.eager, self.threads = EagerStream(net.graph, net.weights), threads
        attrs = next(n for n in net.graph.nodes if n.op == "input").attrs
        self.mean, self.std = (np.array(attrs[key], np.float32) for key in ("mean", "std"))

    def tick(self, frame: np.ndarray) -> dict[str, torch.Tensor]:
        torch.set_num_threads(self.threads)
        values = ((frame.astype(np.float32) / 255 - self.mean) / self.std).transpose(2, 0, 1)
        return self.eager.tick(torch.from_numpy(np.ascontiguousarray(values))[None])


def check(wired: dict[str, Net], frames: np.ndarray, lanes: int) -> dict[str, Any]:
    """One lane and many give the same bits; pipelined is sequential later; torch is near."""
    plans = {k: pvnet.compile((n.graph, n.weights), lanes=lanes) for k, n in wired.items()}
    one = pvnet.compile((wired["sequential"].graph, wired["sequential"].weights), lanes=1)
    want = networks.play(one, frames, 2)
    shift = wired["pipelined"].shift
    same = np.array_equal(networks.play(plans["sequential"], frames, 2)[-1], want[-1])
    later = networks.play(plans["pipelined"], frames, shift + 2)[-1]
    same = same and np.array_equal(later, want[-1])
    eager = Torch(wired["sequential"], lanes)
    for t in range(2):
        last = next(iter(eager.tick(frames[t]).values()))
    far = networks.far(last.numpy().reshape(want[-1].shape), want[-1])
    return {"same_bits": same, "from_torch": far, "right": same and far <= NEAR}


def measure(record: Record, where: Target, name: str, stages: int, lanes: int, peak: float) -> None:
    wired, frames = nets(name, stages, where), networks.frames_of(where)
    ticks, rounds = (TICKS, ROUNDS) if where.real else (1, 1)
    ways = {}
    for wiring, net in wired.items():
        plan = pvnet.compile((net.graph, net.weights), lanes=lanes, fixed_lanes=True)
        ways[wiring] = way(plan.stream(), frames, ticks)
    ways["torch"] = way(Torch(wired["sequential"], lanes), frames, ticks)
    ms = {key: found["us"] / 1e3 for key, found in alternate(ways, rounds).items()}
    gflops = 2 * wired["sequential"].gmac / min(ms[k] for k in wired) * 1e3
    record.add(
        model=name, stages=stages, lanes=lanes, **{f"{k}_ms": v for k, v in ms.items()},
        torch_over_best=ms["torch"] / min(ms[k] for k in wired),
        share_of_peak=gflops / (peak * lanes), **check(wired, frames, lanes),
    )  # fmt: skip


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    peak = peak_gflops()
    record.note(f"FMA peak of one core {peak['gflops']:.0f} GFLOP/s; float32; torch eager by frame")
    record.data["facts"]["fma_peak"] = peak
    cpus = cpus_allowed()
    for lanes in sorted({min(n, cpus) for n in (LANES[:2] if dry else LANES)}, reverse=True):
        for name, stages in ((CASES[0][0], 2),) if dry else CASES:
            measure(record, where, name, stages, lanes, peak["gflops"])


if __name__ == "__main__":
    program("lanes", body)
