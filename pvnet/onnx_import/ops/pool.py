"""Pools, means over space and means over channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.fold import given
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops.parts import channel_index, indexed
from pvnet.onnx_import.ops.windows import Window, rounded_up, window
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.view import C, H, View, W, axes, size

MOST_PARTS = 16  # of one sum


def max_pool(im: Importer, node: Node) -> list[Value]:
    """MaxPool without indices."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise Refused("the indices of a pool")
    source, (_, h, w) = im.map(im.view(node))
    win = _window(node, (h, w))
    if win.dilation != (1, 1):
        raise Refused("a dilated pool")
    return [_emit(im, "max_pool", source, win, {})]


def average_pool(im: Importer, node: Node) -> list[Value]:
    """AveragePool; what ceil_mode adds at the end never counts."""
    source, (c, h, w) = im.map(im.view(node))
    floor = window(node, node.attrs.get("kernel_shape", ()), (h, w))
    win = _window(node, (h, w))
    if win.dilation != (1, 1):
        raise Refused("a dilated pool")
    counted = bool(node.attrs.get("count_include_pad", 0))
    if counted and win.end != floor.end:
        begin, end = floor.begin, floor.end
        attrs = {"padding": list(begin), "padding_end": list(end), "pad_mode": "zeros"}
        shape = (c, h + begin[0] + end[0], w + begin[1] + end[1])
        source = im.draft.add("pad", [source], shape, attrs)
        rest = (win.end[0] - end[0], win.end[1] - end[1])
        win, counted = Window(win.kernel, win.stride, win.dilation, (0, 0), rest), False
    return [_emit(im, "avg_pool", source, win, {"count_include_pad": counted})]


def _window(node: Node, size_in: tuple[int, int]) -> Window:
    win = window(node, node.attrs.get("kernel_shape", ()), size_in)
    auto = node.attrs.get("auto_pad", "NOTSET").startswith("SAME")
    return rounded_up(win, size_in) if node.attrs.get("ceil_mode", 0) and not auto else win


def _emit(im: Importer, op: str, source: str, win: Window, more: dict[str, Any]) -> View:
    c, h, w = im.draft.ops[source].shape
    attrs = {k: v for k, v in win.attrs().items() if k != "dilation"}
    return im.emit(op, [source], (c, *win.size(h, w)), attrs | more)


def global_average(im: Importer, node: Node) -> list[Value]:
    """GlobalAveragePool."""
    source, (c, _, _) = im.map(im.view(node))
    return [im.emit("global_pool", [source], (c, 1, 1))]


def global_max(im: Importer, node: Node) -> list[Value]:
    """GlobalMaxPool."""
    source, (_, h, w) = im.map(im.view(node))
    return [_emit(im, "max_pool", source, Window((h, w), (1, 1), (1, 1), (0, 0), (0, 0)), {})]


def reduce(im: Importer, node: Node) -> list[Value]:
    """ReduceMean, ReduceSum and ReduceMax over space; the first two over channels, too."""
    x = im.view(node)
    dims = given(node, im.constants(node), 1, "axes")
    if not dims:
        if node.attrs.get("noop_with_empty_axes", 0):
            return [x]
        dims = list(range(len(x.dims)))
    where = {d % len(x.dims) for d in dims}
    over = axes(a for d in where for a in x.dims[d])
    left = axes(a for d, dim in enumerate(x.dims) if d not in where for a in dim)
    if over & left:
        return [_folded_channels(im, node, x, sorted(where))]
    kept = tuple(() if d in where else dim for d, dim in enumerate(x.dims))
    if not node.attrs.get("keepdims", 1):
        kept = tuple(dim for d, dim in enumerate(x.dims) if d not in where)
    return [View(_reduced(im, x, node.op, over), kept)]


def _folded_channels(im: Importer, node: Node, x: View, where: list[int]) -> View:
    """The mean or sum over a dimension of channels that stands beside others of them."""
    n = size(x.dims[where[0]])
    if len(where) > 1 or axes(x.dims[where[0]]) != {C} or n > MOST_PARTS or node.op == "ReduceMax":
        raise Refused("a mean, sum or maximum over a part of an axis")
    dim, index = where[0], channel_index(x)
    dims = (*x.dims[:dim], (), *x.dims[dim + 1 :])
    parts = [indexed(im, x.node, dims, np.take(index, [k], dim)) for k in range(n)]
    y = View(im.draft.add("add", [p.node for p in parts], im.shape(parts[0])), parts[0].dims)
    y = im.scale(y, 1 / n) if node.op == "ReduceMean" else y
    keep = node.attrs.get("keepdims", 1)
    return y if keep else View(y.node, (*y.dims[:dim], *y.dims[dim + 1 :]))


def _reduced(im: Importer, x: View, op: str, over: set[int]) -> str:
    c, h, w = im.shape(x)
    space = {axis for axis, n in ((H, h), (W, w)) if n > 1}
    if over & space not in (set(), space) or (op == "ReduceMax" and C in over):
        raise Refused("a mean, sum or maximum over one side of a map, or a maximum of channels")
    node = x.node
    if over & space and op == "ReduceMax":
        return _emit(im, "max_pool", node, Window((h, w), (1, 1), (1, 1), (0, 0), (0, 0)), {}).node
    if over & space:
        node = im.draft.add("global_pool", [node], (c, 1, 1))
    if C in over:
        node = im.draft.add("channel_mean", [node], (1, *im.draft.ops[node].shape[1:]))
    count = math.prod((c, h, w)[axis] for axis in over)
    return im.scale(View(node, ()), float(count)).node if op == "ReduceSum" else node
