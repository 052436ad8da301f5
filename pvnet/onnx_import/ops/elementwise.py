"""Sums, products, differences and quotients of computed tensors and constants."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.file import Node, as_float
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.settle import pick, settle
from pvnet.onnx_import.view import (
    C,
    Dim,
    H,
    View,
    W,
    axes,
    constant_on,
    padded,
    size,
    whole,
)  # fmt: skip

Array = NDArray[np.float32]
OPS = {"Add": "add", "Sum": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


def arithmetic(im: Importer, node: Node) -> list[Value]:
    """Add, Sub, Mul, Div, and Sum of any number of operands."""
    op = OPS[node.op]
    values = [im.values[name] for name in node.inputs if name]
    result = values[0]
    for other in values[1:]:
        if isinstance(result, View) and isinstance(other, View):
            result = _maps(im, op, result, other)
        elif isinstance(result, View):
            result = _constant(im, op, result, as_float(np.asarray(other)), first=False)
        elif isinstance(other, View):
            result = _constant(im, op, other, as_float(np.asarray(result)), first=True)
        else:
            result = np.add(result, other)
    return [result]


def _maps(im: Importer, op: str, a: View, b: View) -> View:
    a, b = aligned(im, a, b)
    shapes = im.shape(a), im.shape(b)
    shape = [max(m, n) for m, n in zip(*shapes)]
    dims = tuple(da or db for da, db in zip(a.dims, b.dims))
    return View(im.draft.add(op, [a.node, b.node], shape), dims)


def aligned(im: Importer, a: View, b: View) -> tuple[View, View]:
    """Two tensors whose maps broadcast as the tensors do.

    Raises:
        Refused: their elements lie too differently.
    """
    rank = max(len(a.dims), len(b.dims))
    a, b = View(a.node, padded(a, rank)), View(b.node, padded(b, rank))
    if _fits(im, a, b):
        return a, b
    if rank == 4:
        for order in ((1, 2, 3), (3, 1, 2)):
            try:
                x, y = _settled(im, a, order), _settled(im, b, order)
            except Refused:
                continue
            if _fits(im, x, y):
                return x, y
    raise Refused(f"operands of shapes {list(a.shape)} and {list(b.shape)} that lie differently")


def _settled(im: Importer, x: View, order: tuple[int, int, int]) -> View:
    if x.dims[0]:
        raise Refused("a batch")
    node = settle(im.draft, x.node, *(x.dims[i] for i in order))
    dims: list[Dim] = [()] * 4
    for axis, i in enumerate(order):
        dims[i] = whole(axis, im.draft.ops[node].shape[axis])
    return View(node, tuple(dims))


def _fits(im: Importer, a: View, b: View) -> bool:
    shapes = im.shape(a), im.shape(b)
    for da, db in zip(a.dims, b.dims):
        if da == db:
            continue
        if da and db:
            return False
        other = shapes[1] if da else shapes[0]
        if any(other[axis] > 1 for axis in axes(da or db)):
            return False
    return True


def _constant(im: Importer, op: str, x: View, k: Array, *, first: bool) -> View:
    x = grown(im, x, k.shape)
    held = constant_on(x, k)
    if held.shape[1:] != (1, 1):
        other = constant_map(im, x, held)
        pair = [other, x.node] if first else [x.node, other]
        return View(im.draft.add(op, pair, im.shape(x)), x.dims)
    k = held.ravel()
    if op == "add":
        return im.scale(x, 1.0, k)
    if op == "mul":
        return im.scale(x, k)
    if op == "sub":
        return im.scale(x, -1.0, k) if first else im.scale(x, 1.0, -k)
    if not first:
        if not np.all(k):
            raise Refused("a division by a constant that has zeros")
        return im.scale(x, (1.0 / k.astype(np.float64)).astype(np.float32))
    one = im.scale(x, 0.0, 1.0)  # no node is a constant
    quotient = View(im.draft.add("div", [one.node, x.node], im.shape(x)), x.dims)
    return quotient if np.all(k == 1) else im.scale(quotient, k)


def constant_map(im: Importer, x: View, k: Array) -> str:
    """A node whose map is a constant [c, h, w]: a linear without weights makes its numbers."""
    k = np.broadcast_to(k, (len(k), *im.shape(x)[1:]))  # maps are broadcast by whole planes
    c, h, w = k.shape
    block = max(h, w)
    full = np.zeros((c, block, block), np.float32)
    full[:, :h, :w] = k
    pooled = im.draft.add("global_pool", [x.node], (im.shape(x)[0], 1, 1))
    one = pick(im.draft, pooled, [0])
    zeros = np.zeros((full.size, 1), np.float32)
    attrs = {"out": full.size, "bias": True}
    weights = {"weight": zeros, "bias": full.ravel()}
    y = im.draft.add("linear", [one], (full.size, 1, 1), attrs, weights)
    y = im.draft.add("depth_to_space", [y], (c, block, block), {"block": block})
    if h != w:
        crop = {"padding": [0, 0], "padding_end": [h - block, w - block], "pad_mode": "zeros"}
        y = im.draft.add("pad", [y], (c, h, w), crop)
    return y


def grown(im: Importer, x: View, shape: tuple[int, ...]) -> View:
    """The view, repeated where a shape that it is broadcast to is larger.

    Raises:
        Refused: it grows in something else than its one channel, or its one pixel.
    """
    rank = max(len(x.dims), len(shape))
    dims = list(padded(x, rank))
    wanted = (1,) * (rank - len(shape)) + tuple(shape)
    grow = [i for i, n in enumerate(wanted) if n > 1 and size(dims[i]) == 1]
    if not grow:
        return x
    c, h, w = im.shape(x)
    node = x.node
    channel = _channel_of(dims, grow, c=c, one_pixel=h == w == 1)
    pixels = [i for i in grow if i != channel]
    if pixels and (len(pixels) != 2 or (h, w) != (1, 1)):
        raise Refused(f"it grows from {list(x.shape)} to {list(shape)}")
    if channel is not None:
        node = pick(im.draft, node, [0] * wanted[channel])
        dims[channel] = whole(C, wanted[channel])
    if pixels:
        h, w = wanted[pixels[0]], wanted[pixels[1]]
        attrs = {"size": [h, w], "mode": "nearest"}
        node = im.draft.add("upsample", [node], (im.draft.ops[node].shape[0], h, w), attrs)
        dims[pixels[0]], dims[pixels[1]] = whole(H, h), whole(W, w)
    return View(node, tuple(dims))


def _channel_of(dims: list[Dim], grow: list[int], *, c: int, one_pixel: bool) -> int | None:
    """Which growing dimension becomes the channels of a map that has one."""
    if c != 1 or (one_pixel and len(grow) == 2):
        return None
    if len(grow) in (1, 3):
        return grow[0]
    raise Refused(f"a tensor of shape {[size(d) for d in dims]} that grows")


def power(im: Importer, node: Node) -> list[Value]:
    """Pow with a small whole exponent, or 0.5."""
    x, exponent = im.view(node), im.floats(node, 1)
    if exponent.size != 1:
        raise Refused("an exponent that is no number")
    n = float(exponent.ravel()[0])
    if n == 0.5:
        return [im.unary(x, "sqrt")]
    if n not in (1.0, 2.0, 3.0, 4.0):
        raise Refused(f"an exponent of {n:g}, expected 0.5, 1, 2, 3 or 4")
    return [x if n == 1 else View(im.draft.add("mul", [x.node] * int(n), im.shape(x)), x.dims)]


def negative(im: Importer, node: Node) -> list[Value]:
    """Neg."""
    return [im.scale(im.view(node), -1.0)]


def absolute(im: Importer, node: Node) -> list[Value]:
    """Abs: relu(x) + relu(-x)."""
    x = im.view(node)
    up = im.unary(x, "act", {"act": "relu"})
    down = im.unary(im.scale(x, -1.0), "act", {"act": "relu"})
    return [View(im.draft.add("add", [up.node, down.node], im.shape(x)), x.dims)]


def bounded(im: Importer, node: Node) -> list[Value]:
    """Max and Min of a computed tensor and numbers; Clip, whose bounds may be attributes."""
    low, high = -math.inf, math.inf
    if node.op == "Clip":
        x = im.view(node)
        low = _number(im, node, 1, "min", low)
        high = _number(im, node, 2, "max", high)
    else:
        views = [name for name in node.inputs if isinstance(im.values[name], View)]
        numbers = [im.values[name] for name in node.inputs if name not in views]
        arrays = [as_float(np.asarray(n)).ravel() for n in numbers]
        if len(views) != 1 or any(a.size != 1 for a in arrays):
            raise Refused("operands that are no numbers, expected one map and numbers")
        x, bound = im.view(node, node.inputs.index(views[0])), [float(a[0]) for a in arrays]
        low, high = (max(bound), high) if node.op == "Max" else (low, min(bound))
    if low > high:
        raise Refused(f"bounds of {low:g} and {high:g}, expected the lower one first")
    return [clamp(im, x, low, high)]


def _number(im: Importer, node: Node, at: int, key: str, default: float) -> float:
    held = im.constant(node, at)
    if held is None:
        return float(node.attrs.get(key, default))
    if np.asarray(held).size != 1:
        raise Refused(f"a bound of shape {list(held.shape)}, expected a number")
    return float(np.asarray(held, np.float64).ravel()[0])


def clamp(im: Importer, x: View, low: float, high: float) -> View:
    """min(max(x, low), high); a bound beyond every float32 is none."""
    most = 3.4e38
    if low == 0 and high > most:
        return im.unary(x, "act", {"act": "relu"})
    if low < -most and high > most:
        return x
    bounds = {"act_low": low if low > -most else None, "act_high": high if high < most else None}
    return im.unary(x, "act", {"act": "clamp", **bounds})
