"""Parts of tensors, tensors put together, and borders: Slice, Split, Gather, Concat, Pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.fold import given, slices, splits
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.refusal import Cut, Refused
from pvnet.onnx_import.settle import pick
from pvnet.onnx_import.view import (
    C,
    Dim,
    H,
    View,
    W,
    axes,
    merge,
    nchw,
    positions,
    size,
    whole,
)  # fmt: skip

MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate"}


def part(im: Importer, x: View, dim: int, where: Sequence[int]) -> View:
    """The elements of one dimension at some positions.

    Raises:
        Refused: the dimension is neither of channels nor a side of the map.
    """
    n, over = size(x.dims[dim]), x.dims[dim]
    if not len(where) or min(where) < 0 or max(where) >= n:
        raise Refused(f"positions of a dimension of {n} that it does not have")
    if list(where) == list(range(n)):
        return x
    if axes(over) == {C}:
        return _channels(im, x, dim, where)
    _, h, w = im.shape(x)
    for axis, length in ((H, h), (W, w)):
        if over == whole(axis, length):
            return _pixels(im, x, dim, axis, where)
    raise Refused("a part of a dimension that mixes axes, expected channels, rows or columns")


def _channels(im: Importer, x: View, dim: int, where: Sequence[int]) -> View:
    """Selects channels; those of other dimensions keep their place."""
    index = np.take(channel_index(x), list(where), dim)
    return indexed(im, x.node, x.dims, index)


def channel_index(x: View) -> NDArray[np.int64]:
    """The channels of the map by dimension of the tensor; pixels count as 1."""
    if any(C in axes(d) and axes(d) != {C} for d in x.dims):
        raise Refused("a part of a dimension that mixes axes, expected channels")
    channels = [tuple(a for a in d if a[0] == C) for d in x.dims]
    index: NDArray[np.int64] = positions([a for d in channels for a in d])
    return index.reshape([size(d) for d in channels])


def indexed(im: Importer, node: str, like: Sequence[Dim], index: NDArray[np.int64]) -> View:
    """The channels of a map in the order of an index, whose dimensions become the tensor's."""
    node = pick(im.draft, node, [int(i) for i in index.ravel()])
    dims, stride = list(like), index.size
    for i, n in enumerate(index.shape):
        stride //= n
        if axes(dims[i]) <= {C}:
            dims[i] = merge([(C, stride, n)])
    return View(node, tuple(dims))


def _pixels(im: Importer, x: View, dim: int, axis: int, where: Sequence[int]) -> View:
    """Crops rows or columns, and leaves out those between the steps."""
    step = where[1] - where[0] if len(where) > 1 else 1
    if step < 1 or list(where) != list(range(where[0], where[0] + len(where) * step, step)):
        raise Refused("rows or columns in another order, expected equal steps")
    shape = list(im.shape(x))
    begin, end = [0, 0], [0, 0]
    last = where[-1] + 1
    begin[axis - 1], end[axis - 1] = -where[0], last - shape[axis]
    node = x.node
    if any(begin) or any(end):
        shape[axis] = last - where[0]
        crop = {"padding": begin, "padding_end": end, "pad_mode": "zeros"}
        node = im.draft.add("pad", [node], shape, crop)
    if step > 1:
        stride = [1, 1, 1]
        stride[axis] = step
        shape[axis] = len(where)
        attrs = {
            "out": shape[0], "kernel": [1, 1, 1], "stride": stride, "padding": [0, 0],
            "groups": shape[0], "bias": False,
        }  # fmt: skip
        ones = np.ones((shape[0], 1, 1, 1, 1), np.float32)
        node = im.draft.add("conv3d", [node], shape, attrs, {"weight": ones})
    dims = list(x.dims)
    dims[dim] = whole(axis, len(where))
    return View(node, tuple(dims))


def cut_out(im: Importer, node: Node) -> list[Value]:
    """Slice."""
    x = im.view(node)
    for dim, where in slices(node, im.constants(node), x.shape):
        x = part(im, x, dim, where)
    return [x]


def split(im: Importer, node: Node) -> list[Value]:
    """Split."""
    x = im.view(node)
    dim = int(node.attrs.get("axis", 0)) % len(x.dims)
    out: list[Value] = []
    start = 0
    for n in splits(node, im.constants(node), x.shape[dim]):
        out.append(part(im, x, dim, range(start, start + n)))
        start += n
    return out


def gather(im: Importer, node: Node) -> list[Value]:
    """Gather of known channels; else it belongs to a tail that chooses results."""
    if not isinstance(im.values[node.inputs[0]], View) or isinstance(
        im.values[node.inputs[1]], View
    ):
        raise Cut("the frame decides which elements it takes")
    x, index = im.view(node), np.asarray(im.constant(node, 1))
    dim = int(node.attrs.get("axis", 0)) % len(x.dims)
    if index.ndim > 1:
        raise Cut(f"an index of shape {list(index.shape)}")
    n = size(x.dims[dim])
    try:
        y = part(im, x, dim, [int(i) % n if -n <= i < n else -1 for i in index.ravel()])
    except Refused as reason:
        raise Cut(str(reason)) from None
    if index.ndim == 0:
        return [View(y.node, (*y.dims[:dim], *y.dims[dim + 1 :]))]
    return [y]


def concat(im: Importer, node: Node) -> list[Value]:
    """Concat of channels; of rows or columns by padding and adding."""
    xs = [im.view(node, i) for i in range(len(node.inputs))]
    rank = len(xs[0].dims)
    dim = int(node.attrs.get("axis", 1)) % rank
    if any(len(x.dims) != rank for x in xs):
        raise Refused("operands of different ranks")
    for i in range(rank):
        if i != dim and len({size(x.dims[i]) for x in xs}) > 1:
            raise Refused(f"operands of shapes {[list(x.shape) for x in xs]}")
    if joined := _joined(im, xs, dim):
        return [joined]
    if rank == 4 and dim in (1, 2, 3):
        maps = [nchw(*im.map(x)) for x in xs]
        joined = _joined(im, maps, 1) if dim == 1 else _beside(im, maps, dim - 1)
        if joined:
            return [joined]
    raise Cut("it joins pixels of several maps into one list")


def _joined(im: Importer, xs: Sequence[View], dim: int) -> View | None:
    """The channels of all, where the tensors lie alike but for their channels."""
    shapes = [im.shape(x) for x in xs]
    pixels = {tuple(d if axes(d) - {C} else () for d in x.dims) for x in xs}
    if len(pixels) > 1 or len({s[1:] for s in shapes}) > 1 or next(iter(pixels))[dim]:
        return None
    starts = np.cumsum([0, *(s[0] for s in shapes)])
    try:
        parts = [channel_index(x) + start for x, start in zip(xs, starts)]
    except Refused:
        return None
    if len(xs) == 1:
        return xs[0]
    node = im.draft.add("concat", [x.node for x in xs], (int(starts[-1]), *shapes[0][1:]))
    return indexed(im, node, next(iter(pixels)), np.concatenate(parts, dim))


def _beside(im: Importer, xs: Sequence[View], axis: int) -> View:
    """Maps beside each other: each with zeros where the others are, all added."""
    if len(xs) > 16:
        raise Refused(f"{len(xs)} maps beside each other, expected at most 16")
    shape = list(im.shape(xs[0]))
    lengths = [im.shape(x)[axis] for x in xs]
    shape[axis] = sum(lengths)
    nodes, start = [], 0
    for x, n in zip(xs, lengths):
        begin, end = [0, 0], [0, 0]
        begin[axis - 1], end[axis - 1] = start, shape[axis] - start - n
        attrs = {"padding": begin, "padding_end": end, "pad_mode": "zeros"}
        nodes.append(im.draft.add("pad", [x.node], shape, attrs))
        start += n
    return im.emit("add", nodes, shape)


def pad(im: Importer, node: Node) -> list[Value]:
    """Pad of rows and columns."""
    x = im.view(node)
    amounts = given(node, im.constants(node), 1, "pads") or []
    dims = given(node, im.constants(node), 3, "axes") or list(range(len(x.dims)))
    mode = MODES.get(node.attrs.get("mode", "constant"))
    if mode is None or len(amounts) != 2 * len(dims):
        raise Refused(f"a pad of mode {node.attrs.get('mode')!r}")
    value = im.constant(node, 2)
    shape = list(im.shape(x))
    begin, end = [0, 0], [0, 0]
    where = list(x.dims)
    for i, d in enumerate(dims):
        low, high = amounts[i], amounts[i + len(dims)]
        if low == high == 0:
            continue
        axis = next((a for a in (H, W) if x.dims[d] == whole(a, shape[a]) != ()), None)
        if axis is None:
            raise Refused("a pad of channels, or of a dimension that mixes axes")
        begin[axis - 1], end[axis - 1] = low, high
        shape[axis] += low + high
        where[d] = whole(axis, shape[axis])
    if not any(begin) and not any(end):
        return [x]
    if min(shape) < 1:
        raise Refused(f"a pad to {shape}")
    number = 0.0 if value is None else float(np.ravel(value)[0])
    attrs: dict[str, Any] = {"padding": begin, "padding_end": end, "pad_mode": mode}
    if number and mode == "zeros":
        attrs["value"] = number
    return [View(im.draft.add("pad", [x.node], shape, attrs), tuple(where))]
