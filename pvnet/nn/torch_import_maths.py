"""Arithmetic, joins and means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from pvnet.nn.torch_import import Converter, Importer, Refused, Value, arguments
from pvnet.nn.torch_import_acts import gated, pointwise
from pvnet.nn.torch_import_convs import add_conv, affine, channels_apart
from pvnet.nn.torch_import_views import (
    arranged,
    as_map,
    full_shape,
    is_whole,
    positions,
    seen,
    select,
    size_of,
)


def arithmetic(op: str) -> Converter:
    """Converter of add, sub, mul, div: of two maps, or a map and a number per channel."""

    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        pair = [a["self"], a["other"]]
        if a.get("rounding_mode"):
            raise Refused("division that rounds")
        if str(node.target).startswith("aten.rsub"):
            pair.reverse()
        alpha = a.get("alpha", 1)
        constant = [_constant(im, v) for v in pair]
        if constant[0] is None and constant[1] is None:
            return _of_maps(im, node, op, pair, alpha)
        return _with_constant(im, node, op, pair, constant, alpha)

    return convert


def _constant(im: Importer, argument: Any) -> Tensor | None:
    if isinstance(argument, fx.Node):
        found = im.tensors.get(argument.name)
        return found if isinstance(found, Tensor) else None
    return torch.tensor(float(argument))


def _with_constant(
    im: Importer, node: fx.Node, op: str, pair: list[Any], constant: list[Tensor | None], alpha: Any
) -> Value:
    left = constant[0] is not None
    number, argument = (constant[0], pair[1]) if left else (constant[1], pair[0])
    assert number is not None
    pointwise(im, argument)
    each = _per_channel(im, argument, number)
    if op in ("add", "sub"):
        sign = alpha if op == "add" or left else -alpha
        # Left: number - alpha x. Right: x - alpha number.
        if left:
            factor = alpha if op == "add" else -alpha
            one = None if factor == 1 else torch.full_like(each, factor)
            return affine(im, node, one, each)
        return affine(im, node, None, sign * each)
    if op == "mul":
        return affine(im, node, each, None)
    if left:
        return reciprocal(im, node)
    return affine(im, node, 1 / each, None)


def _per_channel(im: Importer, argument: fx.Node, number: Tensor) -> Tensor:
    """A constant as one number per channel of the node behind the argument."""
    x = im.value(argument)
    shape = argument.meta["val"].shape
    number = number.detach().float() if not number.is_floating_point() else number.detach()
    if number.numel() == 1 and number.dim() <= len(shape):
        return number.reshape(1).expand(x.shape[0])
    try:
        full = number.expand(shape)
    except RuntimeError:
        cure = "Add what is learned per channel."
        raise Refused("a constant larger than the map", cure) from None
    spread = torch.empty(size_of(x), dtype=number.dtype)
    spread[positions(x).reshape(-1)] = full.reshape(-1)
    each = channels_apart(x, spread)
    if each is None:
        raise Refused(
            "a constant per pixel, such as a position", "Use constants per channel, [1, c, 1, 1]."
        )
    return each


def _of_maps(im: Importer, node: fx.Node, op: str, pair: list[fx.Node], alpha: Any) -> Value:
    if alpha != 1:
        raise Refused("two maps with alpha", "Multiply one of them by the number first.")
    if op == "mul":
        for one, other in (pair, pair[::-1]):
            found = gated(im, one, other)
            if found is not None:
                return found
    x, y = (im.value(v) for v in pair)
    alike = x.shape == y.shape and (x.batch, x.ticks, x.dims) == (y.batch, y.ticks, y.dims)
    if alike and _equal(x.index, y.index) and is_whole(x):
        sources = [replace(v, index=None) for v in (x, y)]
        made = im.add(node, op, sources, {}, x.shape, x.dims)
        return replace(made, ticks=x.ticks, index=x.index)
    result = node.meta["val"]
    if result.dim() == 2 and (x.shape[1:] != (1, 1) or y.shape[1:] != (1, 1)):
        raise Refused("arithmetic of flattened maps", "Do it before flattening.")
    if x.dims != y.dims:
        raise Refused("arithmetic of tensors of different dimensions", "Give both four.")
    for channel in (1, -1):
        try:
            return _broadcast(im, node, op, pair, channel)
        except Refused:
            if channel == -1:
                raise
    raise AssertionError


def _equal(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else torch.equal(a, b)


def _broadcast(im: Importer, node: fx.Node, op: str, pair: list[fx.Node], channel: int) -> Value:
    """Two maps of which one, or each a side, may be one value over channels or over pixels."""
    narrow = [_narrow(im, v, channel) for v in pair]
    c = max(v.shape[0] for v in narrow)
    h, w = (max(v.shape[i] for v in narrow) for i in (1, 2))
    if not any(v.shape == (c, h, w) for v in narrow):
        widest = max(narrow, key=lambda v: v.shape[0])
        narrow[narrow.index(widest)] = _widen(im, node, widest, (c, h, w))
    narrow = [_widen(im, node, v, (c, h, w)) if v.shape not in _broadcasting(c, h, w) else v
              for v in narrow]  # fmt: skip
    made = im.add(node, op, narrow, {}, (c, h, w), narrow[0].dims)
    if channel == 1 and node.meta["val"].dim() in (2, 4, 5):
        return replace(made, dims=node.meta["val"].dim())
    shape = list(node.meta["val"].shape)
    shape.insert(1, shape.pop())
    return seen(made, torch.arange(size_of(made)).reshape(shape).movedim(1, -1))


def _broadcasting(c: int, h: int, w: int) -> tuple[tuple[int, int, int], ...]:
    return (c, h, w), (c, 1, 1), (1, h, w), (1, 1, 1)


def _narrow(im: Importer, argument: fx.Node, channel: int) -> Value:
    """A map of an argument without what only repeats it."""
    x = im.value(argument)
    if x.index is None:
        return arranged(im, argument, channel)[0]
    index = x.index
    for dim in range(1, index.dim()):
        if index.shape[dim] > 1 and torch.equal(index, index.narrow(dim, 0, 1).expand_as(index)):
            index = index.narrow(dim, 0, 1)
    if index.dim() in (4, 5):
        # Rows without columns are no part that broadcasts.
        space = [d for d in range(1, index.dim()) if d != channel % index.dim()]
        if any(index.shape[d] != 1 for d in space):
            wanted = [(x.index if d in space else index).shape[d] for d in range(index.dim())]
            index = index.expand(wanted)
    im.values[argument.name] = seen(x, index)
    try:
        return arranged(im, argument, channel)[0]
    finally:
        im.values[argument.name] = x


def _widen(im: Importer, node: fx.Node, x: Value, shape: tuple[int, int, int]) -> Value:
    """The same values, repeated over a larger map."""
    c, h, w = shape
    if x.shape[0] != c:
        x = select(im, node, x, torch.zeros(c, dtype=torch.int64))
    if x.shape[1:] == (h, w):
        return x
    return im.add_once(node, "upsample", x, {"size": [h, w], "mode": "nearest"}, (c, h, w))


def square(im: Importer, node: fx.Node) -> Value:
    """pow(x, 2) as a product."""
    exponent = arguments(node).get("exponent", 2)
    if exponent != 2:
        raise Refused("a power other than 2")
    x = pointwise(im, node.args[0])  # type: ignore[arg-type]
    whole = replace(x, index=None)
    y = im.add(node, "mul", [whole, whole], {}, x.shape, x.dims)
    return replace(y, ticks=x.ticks, index=x.index)


def reciprocal(im: Importer, node: fx.Node) -> Value:
    """1 / x, which no operation computes."""
    del im, node
    raise Refused("a number divided by a map", "Multiply by the inverse of a number instead.")


def negative(im: Importer, node: fx.Node) -> Value:
    """-x as a factor."""
    x = pointwise(im, node.args[0])  # type: ignore[arg-type]
    return affine(im, node, torch.full((x.shape[0],), -1.0), None)


def concat(im: Importer, node: fx.Node) -> Value:
    """Joins channels; parts of one map become one choice of channels."""
    a = arguments(node)
    tensors = [v for v in a["tensors"] if 0 not in v.meta["val"].shape]
    result = node.meta["val"]
    dim = int(a["dim"]) % result.dim()
    if any(v.name not in im.values for v in tensors):
        raise Refused("a constant beside a map", "Add constants per channel instead.")
    xs = [im.value(v) for v in tensors]
    one = xs[0].node
    if all(x.node == one for x in xs) and any(x.index is not None for x in xs):
        return seen(xs[0], torch.cat([positions(x) for x in xs], dim))
    if result.dim() == 2 and any(x.shape[1:] != (1, 1) for x in xs):
        raise Refused("flattened maps side by side", "Join them before flattening.")
    try:
        parts, back = _parts(im, tensors, dim)
    except Refused:
        raise Refused(
            f"cat over dimension {a['dim']}, expected the channels (1)",
            "Return the parts as outputs, or join channels.",
        ) from None
    c = sum(x.shape[0] for x in parts)
    y = im.add(node, "concat", parts, {}, (c, *parts[0].shape[1:]), parts[0].dims)
    return back(replace(y, ticks=parts[0].ticks))


def _parts(
    im: Importer, tensors: Sequence[fx.Node], dim: int
) -> tuple[list[Value], Callable[[Value], Value]]:
    found = [arranged(im, v, dim) for v in tensors]
    return [x for x, _ in found], found[0][1]


def mean(im: Importer, node: fx.Node) -> Value:
    """Mean or sum over pixels, over rows or columns, or over channels."""
    a = arguments(node)
    x = im.value(node.args[0])
    given = a.get("dim")
    reduced = sorted(d % x.dims for d in (range(x.dims) if given in (None, []) else given))
    shape = node.args[0].meta["val"].shape  # type: ignore[union-attr]
    count = math.prod(int(shape[d]) for d in reduced)
    y = _mean(im, node, x, reduced)
    y = seen(y, torch.arange(size_of(y)).reshape(node.meta["val"].shape))
    if not str(node.target).startswith("aten.sum"):
        return y
    made = im.add(node, "scale", [replace(y, index=None)], {"bias": False}, y.shape, y.dims)
    im.weights[f"{made.node}.weight"] = torch.full((y.shape[0],), float(count))
    return replace(made, ticks=y.ticks, index=y.index)


def _mean(im: Importer, node: fx.Node, x: Value, reduced: list[int]) -> Value:
    argument = node.args[0]
    assert isinstance(argument, fx.Node)
    if 0 in reduced:
        raise Refused("mean over the batch")
    if x.dims not in (4, 5) or x.index is not None:
        x = _pixels_last(im, argument, x, reduced)
        return global_pool(im, node, x, over_time=False)
    space = [x.dims - 2, x.dims - 1]
    if reduced in (space, list(range(2, x.dims))):
        return global_pool(im, node, x, over_time=x.dims == 5 and 2 in reduced)
    c, h, w = x.shape
    if x.dims == 4 and reduced == [1, 2, 3]:
        x, reduced = global_pool(im, node, x, over_time=False), [1]
        h = w = 1
    if reduced == [1]:
        # A 1x1 convolution with equal weights.
        attrs = {"out": 1, "kernel": [1, 1, 1], "padding": [0, 0]}
        return add_conv(im, node, x, attrs, torch.full((1, c, 1, 1, 1), 1 / c), None, (1, h, w))
    if x.dims == 4 and reduced in ([2], [3]):
        size = (1, w) if reduced == [2] else (h, 1)
        kernel = [1, h, 1] if reduced == [2] else [1, 1, w]
        attrs = {"kernel": kernel, "stride": [1, 1, 1], "padding": [0, 0]}
        return im.add(node, "avg_pool", [x], attrs, (c, *size), 4)
    raise Refused(f"mean over dimensions {reduced}, expected height and width, or channels")


def _pixels_last(im: Importer, argument: fx.Node, x: Value, reduced: list[int]) -> Value:
    """The map of a view whose reduced dimensions are all pixels, in any order."""
    index = positions(x)
    kept = [d for d in range(index.dim()) if d not in reduced]
    flat = index.permute(*kept, *reduced).reshape(x.batch, -1, math.prod(x.shape[1:]) * x.ticks)
    if x.ticks == 1 and flat.numel() == size_of(x):
        b, c, _, h, w = full_shape(x)
        if torch.equal(flat.sort(-1).values, torch.arange(size_of(x)).reshape(b, c, h * w)):
            return replace(x, dims=4, index=None)
    if x.dims == 4 and reduced == [2, 3]:
        return as_map(im, argument)
    raise Refused(f"mean over dimensions {reduced} of a view", "Take it over height and width.")


def global_pool(im: Importer, node: fx.Node, x: Value, *, over_time: bool) -> Value:
    """Mean over space, and over all time of a clip."""
    if over_time and x.ticks > 1 and not im.causal:
        raise Refused(
            "pooling over all time; pass causal=True to pool over the last firings",
            "Pass causal=True.",
        )
    window = x.ticks if over_time else 1
    dims = 5 if x.dims == 5 and not over_time else 4
    y = im.add(node, "global_pool", [x], {"window": window}, (x.shape[0], 1, 1), dims)
    return replace(y, ticks=x.ticks if dims == 5 else 1)
