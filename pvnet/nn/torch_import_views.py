"""Views: whatever moves elements without computing is run on their positions, then recognised.

A reshape, a permute or a slice costs nothing here. Only where an operation needs a map does its
pattern become nodes: a choice of channels, a crop, every n-th pixel, a repetition, depth to space
and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from pvnet.nn.torch_import import Importer, Refused, Value

_CURE = "Keep maps as [b, c, h, w], and mix pixels by convolutions, pooling or pixel shuffles only."

# Only the shape of their result counts: a view needs no memory of a kind here.
_SHAPED = ("view", "_unsafe_view", "reshape", "view_as", "reshape_as", "expand", "expand_as")


def full_shape(x: Value) -> tuple[int, int, int, int, int]:
    """[b, c, t, h, w] of the value of the node behind x."""
    return x.batch, x.shape[0], x.ticks, x.shape[1], x.shape[2]


def size_of(x: Value) -> int:
    """Elements of the node's value."""
    b, c, t, h, w = full_shape(x)
    return b * c * t * h * w


def _in_order(x: Value, dims: int) -> tuple[int, ...] | None:
    """Shape of all elements of x in order with so many dimensions."""
    b, c, t, h, w = full_shape(x)
    shapes = {2: (b, c * t * h * w), 5: (b, c, t, h, w)}
    if t == 1:
        shapes[4] = (b, c, h, w)
    return shapes.get(dims)


def positions(x: Value) -> Tensor:
    """Where each element of the torch tensor lies in the value of its node."""
    if x.index is not None:
        return x.index
    shape = _in_order(x, x.dims)
    assert shape is not None
    return torch.arange(size_of(x)).reshape(shape)


def seen(x: Value, index: Tensor) -> Value:
    """Elements of the node behind x at other positions; no view where they are all, in order."""
    if _in_order(x, index.dim()) == tuple(index.shape):
        flat = index.reshape(-1)
        if torch.equal(flat, torch.arange(flat.numel())):
            return replace(x, dims=index.dim(), index=None)
    return replace(x, dims=index.dim(), index=index)


def is_whole(x: Value) -> bool:
    """Whether a view holds every element of its node once."""
    if x.index is None:
        return True
    if x.index.numel() != size_of(x):
        return False
    there = torch.zeros(size_of(x), dtype=torch.bool)
    there[x.index.reshape(-1)] = True
    return bool(there.all())


def view(im: Importer, node: fx.Node) -> Value | list[Value]:
    """An operation that only moves elements."""
    x = im.value(node.args[0])
    name = str(node.target).split(".")[1]
    if name in _SHAPED:
        index = positions(x)
        shape = node.meta["val"].shape
        return seen(x, index.expand(shape) if "expand" in name else index.reshape(shape))
    given = [a for a in node.args[1:] if isinstance(a, fx.Node)]
    if any(a.name not in im.tensors for a in given):
        raise Refused("the positions depend on the frame", _CURE)
    rest = fx.node.map_arg((node.args[1:], node.kwargs), lambda n: im.tensors[n.name])
    # Through double, exact up to 2^53: not every kernel moves integers.
    moved: Any = node.target(positions(x).detach().double(), *rest[0], **rest[1])  # type: ignore[operator]
    if isinstance(moved, list | tuple):
        return [seen(x, part.long()) for part in moved]
    return seen(x, moved.long())


def same(im: Importer, node: fx.Node) -> Value:
    """An operation that changes nothing."""
    return im.value(node.args[0])


def as_map(im: Importer, argument: Any) -> Value:
    """An argument as a map of a node of its own: images, clips, or vectors [b, c]."""
    x = im.value(argument)
    if x.index is None:
        return x
    made = _gather(im, argument, x, x.index)
    made = replace(made, dims=x.dims)
    im.values[argument.name] = made
    return made


def arranged(
    im: Importer, argument: fx.Node, channel: int
) -> tuple[Value, Callable[[Value], Value]]:
    """An argument as a map whose channels are one of its dimensions, and the way back.

    Returns:
        The map, and what sees a value of the same (h, w) and any channels as the argument was.
    """
    x = im.value(argument)
    channel %= x.dims
    if x.index is None and channel == 1 and (x.dims != 2 or x.shape[1:] == (1, 1)):
        return x, lambda y: replace(y, dims=x.dims, index=None)
    index = positions(x).movedim(channel, 1)
    rest = tuple(index.shape[2:])
    b, c = index.shape[:2]
    h, w = x.shape[1:]
    space = index.numel() // (b * c)
    if x.dims in (4, 5):
        found = as_map(im, argument) if channel == 1 else _gather(im, argument, x, index)
    elif space == 1:
        found = _gather(im, argument, x, index.reshape(b, c, 1, 1))
    elif space == h * w:
        found = _gather(im, argument, x, index.reshape(b, c, h, w))
    else:
        raise Refused(f"a tensor of {x.dims} dimensions is no map", _CURE)

    def back(y: Value) -> Value:
        where = torch.arange(size_of(y)).reshape(y.batch, y.shape[0], *rest)
        return seen(y, where.movedim(1, channel))

    return found, back


def _gather(im: Importer, node: fx.Node, x: Value, index: Tensor) -> Value:
    """Nodes for a map [b, c, h, w] or [b, c, t, h, w] or [b, c] of elements of x."""
    if seen(x, index).index is None:
        return seen(x, index)
    dims = 5 if index.dim() == 5 else 4
    base = replace(x, dims=5 if x.ticks > 1 else 4, index=None)
    if index.dim() == 2:
        index = index[:, :, None, None]
    if index.dim() == 4:
        index = index.unsqueeze(2)
    if index.dim() != 5:
        raise Refused(f"a tensor of {index.dim()} dimensions is no map", _CURE)
    frame = _of_one_frame(x, index)
    h, w = x.shape[1:]
    c, y, z = frame // (h * w), frame // w % h, frame % w
    for way in (_separable, _from_depth, _to_depth):
        found = way(im, node, base, c, y, z)
        if found is not None:
            return replace(found, dims=dims)
    raise Refused("a view that mixes pixels or channels", _CURE)


def _of_one_frame(x: Value, index: Tensor) -> Tensor:
    """Positions [c, h, w] in a frame of x, the same ones for all frames and all of the batch."""
    b, c, t, h, w = full_shape(x)
    first = index[0, :, 0]
    channel, pixel = first // (t * h * w), first % (h * w)
    expected = (channel * t * h * w + pixel)[None, :, None]
    expected = expected + (torch.arange(t) * h * w).reshape(1, 1, t, 1, 1)
    expected = expected + (torch.arange(b) * c * t * h * w).reshape(b, 1, 1, 1, 1)
    if expected.shape != index.shape or not torch.equal(expected, index):
        raise Refused("a view that mixes frames or images of the batch", _CURE)
    return channel * h * w + pixel


def select(im: Importer, node: fx.Node, x: Value, channels: Tensor) -> Value:
    """Some channels of a map, in an order."""
    chosen = channels.tolist()
    if chosen == list(range(x.shape[0])):
        return x
    shape = (len(chosen), x.shape[1], x.shape[2])
    return im.add_once(node, "channel_select", x, {"index": chosen}, shape)


def _separable(
    im: Importer, node: fx.Node, x: Value, c: Tensor, y: Tensor, z: Tensor
) -> Value | None:
    """Channels, rows and columns chosen independently."""
    cs, ys, zs = c[:, 0, 0], y[0, :, 0], z[0, 0, :]
    same_everywhere = (
        torch.equal(c, cs[:, None, None].expand_as(c))
        and torch.equal(y, ys[None, :, None].expand_as(y))
        and torch.equal(z, zs[None, None, :].expand_as(z))
    )
    if not same_everywhere:
        return None
    rows, columns = _steps(ys, x.shape[1]), _steps(zs, x.shape[2])
    if rows is None or columns is None:
        return None
    found = select(im, node, x, cs)
    h, w = len(ys), len(zs)
    if rows[0] == columns[0] == "repeat" or "repeat" in (rows[0], columns[0]):
        if any(way[0] != "repeat" and n != s for way, n, s in
               ((rows, h, x.shape[1]), (columns, w, x.shape[2]))):  # fmt: skip
            return None
        attrs: dict[str, Any] = {"size": [h, w], "mode": "nearest"}
        return im.add_once(node, "upsample", found, attrs, (len(cs), h, w))
    (_, top, sy), (_, left, sx) = rows, columns
    if (sy, sx) != (1, 1) and (top, left) == (0, 0):
        # A window of one pixel, so that nothing is compared.
        attrs = {"kernel": [1, 1, 1], "stride": [1, sy, sx], "padding": [0, 0]}
        all_of_it = (-(-x.shape[1] // sy), -(-x.shape[2] // sx))
        if all_of_it == (h, w):
            return im.add_once(node, "max_pool", found, attrs, (len(cs), h, w))
    if (sy, sx) != (1, 1):
        return None
    return crop(im, node, found, (top, left), (h, w))


def _steps(at: Tensor, size: int) -> tuple[str, int, int] | None:
    """("step", first, by) or ("repeat", 0, 1) of chosen rows or columns; None for anything else."""
    n = len(at)
    first = int(at[0])
    by = int(at[1]) - first if n > 1 else 1
    if by > 0 and torch.equal(at, first + by * torch.arange(n)):
        return "step", first, by
    if torch.equal(at, torch.arange(n) * size // n):
        return "repeat", 0, 1
    return None


def crop(
    im: Importer, node: fx.Node, x: Value, start: tuple[int, int], size: tuple[int, int]
) -> Value:
    """A rectangle of a map."""
    if size == x.shape[1:]:
        return x
    end = [s + n - m for s, n, m in zip(start, size, x.shape[1:])]
    attrs = {"padding": [-s for s in start], "padding_end": end, "pad_mode": "zeros"}
    return im.add_once(node, "pad", x, attrs, (x.shape[0], *size))


def _from_depth(
    im: Importer, node: fx.Node, x: Value, c: Tensor, y: Tensor, z: Tensor
) -> Value | None:
    """Blocks of pixels out of channels, as a pixel shuffle does, in any order of the channels."""
    (_, h, w), (out, big, wide) = x.shape, c.shape
    s = big // h
    if s < 2 or (big, wide) != (h * s, w * s):
        return None
    if not torch.equal(y[0, :, 0], torch.arange(big) // s):
        return None
    if not torch.equal(z[0, 0, :], torch.arange(wide) // s):
        return None
    of_block = c[:, :s, :s]
    if not torch.equal(c, of_block.repeat(1, h, w)) or not _same_pixels(y, z):
        return None
    found = select(im, node, x, of_block.reshape(-1))
    return im.add_once(node, "depth_to_space", found, {"block": s}, (out, big, wide))


def _to_depth(
    im: Importer, node: fx.Node, x: Value, c: Tensor, y: Tensor, z: Tensor
) -> Value | None:
    """Pixels of a block into channels, as a pixel unshuffle or slices with steps do."""
    (channels, h, w), (_, low, narrow) = x.shape, c.shape
    s = h // low
    if s < 2 or (h, w) != (low * s, narrow * s):
        return None
    cs, top, left = c[:, 0, 0], y[:, 0, 0], z[:, 0, 0]
    rows = top[:, None, None] + s * torch.arange(low)[None, :, None]
    columns = left[:, None, None] + s * torch.arange(narrow)[None, None, :]
    exact = (
        torch.equal(c, cs[:, None, None].expand_as(c))
        and torch.equal(y, rows.expand_as(y))
        and torch.equal(z, columns.expand_as(z))
    )
    if not exact:
        return None
    shape = (channels * s * s, low, narrow)
    deep = im.add_once(node, "space_to_depth", x, {"block": s}, shape)
    return select(im, node, deep, cs * s * s + top * s + left)


def _same_pixels(y: Tensor, z: Tensor) -> bool:
    """Whether all channels read the same pixels, rows and columns apart."""
    return torch.equal(y, y[:1, :, :1].expand_as(y)) and torch.equal(z, z[:1, :1].expand_as(z))
