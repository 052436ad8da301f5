"""The ways in which a peer runs: eager, as a CUDA graph, by torch.compile."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gpu.peer_net import PeerNet

Tick = Callable[[Tensor], Tensor]
# With CUDA graphs both; the second tries Triton kernels for every convolution.
MODES = ("reduce-overhead", "max-autotune")
WARM_TICKS = 4


def compiled(net: PeerNet, mode: str, frame: Tensor) -> Tick:
    """By torch.compile, compiled and warm. Its past is what these ticks left: see `forget`."""
    options: dict[str, Any] = {"mode": mode} if frame.is_cuda else {}
    quick = torch.compile(net, fullgraph=True, dynamic=False, **options)

    def tick(x: Tensor) -> Tensor:
        if x.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()
        return quick(x)

    with torch.inference_mode():
        for _ in range(WARM_TICKS):
            tick(frame)
    return tick


def captured(net: PeerNet, frame: Tensor) -> Tick:
    """Eager kernels of cuDNN, captured once as a CUDA graph and replayed."""
    static = frame.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(WARM_TICKS):
            net(static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        out = net(static)

    def tick(x: Tensor) -> Tensor:
        static.copy_(x)
        graph.replay()
        return out

    return tick


def forget(net: PeerNet) -> None:
    """Puts the past back to zeros, in the buffers that a capture knows."""
    with torch.inference_mode():
        for name, buffer in net.named_buffers():
            if name.startswith("past"):
                buffer.zero_()


def tensorrt() -> str:
    """Whether TensorRT could be a peer here."""
    names = [n for n in ("tensorrt", "torch_tensorrt") if importlib.util.find_spec(n)]
    return f"TensorRT: {', '.join(names)} there, not measured" if names else "TensorRT is not there"
