"""Torch eager as people run it on a stream: one frame per call, explicit state, folded batch norm.

A graph in sequential wiring is executed node by node. Spatial layers are 2-D operations in
channels_last; layers with temporal kernels stack their last firings and run a 3-D convolution in
channels_last_3d. This is the strongest plain eager baseline we know, and shares no code with pvnet.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pvnet.graph import Graph


class EagerStream:
    """Ticks a graph: `tick(frame)` -> {output: tensor}.

    Args:
        graph: wired sequential; ops conv3d, pools, concat, add, upsample, act, linear, global_pool.
        weights: float32 arrays by name.
    """

    def __init__(self, graph: Graph, weights: dict[str, np.ndarray]) -> None:
        assert graph.wiring == "sequential"
        self.graph = graph
        self.layers = {n.name: _fold(n, weights) for n in graph.nodes if _has_weights(n)}
        self.taps = dict.fromkeys((n.name for n in graph.nodes), 1)
        for node in graph.nodes:
            for edge in node.inputs:
                self.taps[edge.node] = max(self.taps[edge.node], _reach(node))
        shapes = {n.name: n.shape for n in graph.nodes}
        self.rings = {
            name: deque([_empty(shapes[name])] * depth, maxlen=depth)
            for name, depth in self.taps.items()
        }
        self.ticks = 0

    @torch.inference_mode()
    def tick(self, frame: Tensor) -> dict[str, Tensor]:
        """frame: [1, 3, h, w] float32, normalised."""
        for node in self.graph.nodes:
            due = self.ticks - node.clock.origin
            if due < 0 or due % node.clock.period:
                continue
            if node.op == "input":
                value = frame.contiguous(memory_format=torch.channels_last)
            else:
                value = self._fire(node)
            self.rings[node.name].append(value)
        self.ticks += 1
        return {o.name: self.rings[o.node][-1] for o in self.graph.outputs}

    def _fire(self, node) -> Tensor:
        a = node.attrs
        xs = [self.rings[edge.node][-1] for edge in node.inputs]
        past = list(self.rings[node.inputs[0].node])
        if node.op == "conv3d":
            return self._conv(node, past)
        if node.op == "linear":
            weight, bias = self.layers[node.name]
            return _act(F.linear(xs[0].flatten(1), weight, bias)[..., None, None], a.get("act"))
        if node.op in ("max_pool", "avg_pool"):
            return _pool(node.op, a, past)
        if node.op == "global_pool":
            recent = past[-a["window"] :]
            return sum(x.mean(dim=(2, 3), keepdim=True) for x in recent) / a["window"]
        if node.op == "concat":
            return torch.cat(xs, dim=1)
        if node.op == "add":
            return _act(sum(xs[1:], xs[0]), a.get("act"))
        if node.op == "upsample":
            options = {} if a["mode"] == "nearest" else {"align_corners": False}
            return F.interpolate(xs[0], size=tuple(a["size"]), mode=a["mode"], **options)
        if node.op == "act":
            return _act(xs[0], a["act"])
        raise NotImplementedError(f"{node.op} is not part of this baseline")

    def _conv(self, node, past: list[Tensor]) -> Tensor:
        a = node.attrs
        weight, bias = self.layers[node.name]
        kt = a["kernel"][0]
        stride, dilation = tuple(a["stride"]), tuple(a["dilation"])
        padding = tuple(a["padding"])
        if kt == 1:
            y = F.conv2d(past[-1], weight, bias, stride[1:], padding, dilation[1:], a["groups"])
        else:
            recent = past[:: -dilation[0]][:kt][::-1]
            clip = torch.stack(recent, dim=2).contiguous(memory_format=torch.channels_last_3d)
            y = F.conv3d(
                clip, weight, bias, (1, *stride[1:]), (0, *padding), (1, *dilation[1:]), a["groups"]
            )[:, :, 0]
        return _act(y, a.get("act"))


def _has_weights(node) -> bool:
    return node.op in ("conv3d", "linear")


def _reach(node) -> int:
    """Firings of its input a node reads."""
    if node.op == "global_pool":
        return int(node.attrs["window"])
    taps = int(node.attrs.get("kernel", (1,))[0])
    dilation = int(node.attrs.get("dilation", (1,))[0])
    return (taps - 1) * dilation + 1


def _empty(shape: tuple[int, int, int]) -> Tensor:
    return torch.zeros((1, *shape)).contiguous(memory_format=torch.channels_last)


def _fold(node, weights: dict[str, np.ndarray]) -> tuple[Tensor, Tensor | None]:
    """Weight and bias with batch norm folded in, in the layout eager is fastest with."""
    weight = torch.from_numpy(np.array(weights[f"{node.name}.weight"]))
    bias = weights.get(f"{node.name}.bias")
    bias = None if bias is None else torch.from_numpy(np.array(bias))
    norm = {k: weights.get(f"{node.name}.norm.{k}") for k in _NORM}
    if norm["weight"] is not None:
        gamma, beta, mean, var = (torch.from_numpy(np.array(norm[k])) for k in _NORM)
        scale = gamma / torch.sqrt(var + node.attrs.get("norm_eps", 1e-5))
        weight = weight * scale.view(-1, 1, 1, 1, 1)
        bias = beta + ((0 if bias is None else bias) - mean) * scale
    if node.op == "linear":
        return weight, bias
    if weight.shape[2] == 1:
        return weight[:, :, 0].contiguous(memory_format=torch.channels_last), bias
    return weight.contiguous(memory_format=torch.channels_last_3d), bias


_NORM = ("weight", "bias", "running_mean", "running_var")


def _pool(op: str, a: dict, past: list[Tensor]) -> Tensor:
    kernel, stride, padding = tuple(a["kernel"]), tuple(a["stride"]), tuple(a["padding"])
    recent = past[:: -a.get("dilation", (1, 1, 1))[0]][: kernel[0]]
    if op == "max_pool":
        pooled = [F.max_pool2d(x, kernel[1:], stride[1:], padding) for x in recent]
        y = pooled[0]
        for other in pooled[1:]:
            y = torch.maximum(y, other)
        return y
    include = bool(a.get("count_include_pad", True))
    pooled = [
        F.avg_pool2d(x, kernel[1:], stride[1:], padding, count_include_pad=include) for x in recent
    ]
    return sum(pooled[1:], pooled[0]) / len(pooled)


def _act(x: Tensor, act: str | None) -> Tensor:
    if act in (None, "none"):
        return x
    if act == "softmax":
        return torch.softmax(x, dim=1)
    return {"relu": F.relu, "silu": F.silu, "sigmoid": torch.sigmoid}[act](x)
