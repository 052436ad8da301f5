"""From a view to a map in memory: channels in another order, pixels to channels and back."""

from __future__ import annotations

import numpy as np

from pvnet.onnx_import.draft import Draft
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.view import Atom, C, Dim, H, W, axes, merge, positions, size, whole


def settle(draft: Draft, node: str, c: Dim, h: Dim, w: Dim) -> str:
    """A node whose map is (c, h, w), given as parts of the map of `node`.

    Raises:
        Refused: no operation moves the elements so.
    """
    c, h, w = merge(c), merge(h), merge(w)
    if axes(c) & {H, W}:
        node, c = _pixels_to_channels(draft, node, c, h, w)
        _, height, width = draft.ops[node].shape
        h, w = whole(H, height), whole(W, width)
    if C in axes(h) | axes(w):
        return _channels_to_pixels(draft, node, c, h, w)
    _, height, width = draft.ops[node].shape
    if h != whole(H, height) or w != whole(W, width):
        raise Refused("height and width change places or are mixed")
    return select(draft, node, c)


def select(draft: Draft, node: str, c: Dim) -> str:
    """A node whose channels are those of `node` in the order of some atoms."""
    if c == whole(C, draft.ops[node].shape[0]):
        return node
    return pick(draft, node, positions(c).tolist())


def pick(draft: Draft, node: str, index: list[int]) -> str:
    """A node whose channel i is the channel index[i] of `node`."""
    channels, height, width = draft.ops[node].shape
    if index == list(range(channels)):
        return node
    return draft.add("channel_select", [node], (len(index), height, width), {"index": index})


def _channels_to_pixels(draft: Draft, node: str, c: Dim, h: Dim, w: Dim) -> str:
    _, height, width = draft.ops[node].shape
    block = size(h) // height
    fits = (
        block * height == size(h)
        and block * width == size(w)
        and len(h) + len(w) == 2 + (height > 1) + (width > 1)
        and h[:-1] == whole(H, height)
        and w[:-1] == whole(W, width)
        and h[-1][0] == w[-1][0] == C
    )
    if not fits:
        raise Refused(
            f"channels become {size(h)} x {size(w)} pixels of {height} x {width}, expected blocks "
            "of one side"
        )
    node = select(draft, node, merge([*c, h[-1], w[-1]]))
    shape = (size(c), size(h), size(w))
    return draft.add("depth_to_space", [node], shape, {"block": block})


def _pixels_to_channels(draft: Draft, node: str, c: Dim, h: Dim, w: Dim) -> tuple[str, Dim]:
    channels, height, width = draft.ops[node].shape
    rows = [a for a in c if a[0] == H]
    columns = [a for a in c if a[0] == W]
    fits = len(rows) == 1 and len(columns) == 1 and rows[0][1:] == columns[0][1:]
    block = rows[0][2] if rows else 0
    if not fits or rows[0][1] != 1 or h != _outer(H, height, block) or w != _outer(W, width, block):
        raise Refused("pixels become channels, expected blocks of one side")
    square = block * block
    shape = (channels * square, height // block, width // block)
    node = draft.add("space_to_depth", [node], shape, {"block": block})
    moved: list[Atom] = []
    for axis, stride, n in c:
        factor = {C: stride * square, H: block, W: 1}[axis]
        moved.append((C, factor, n))
    return node, merge(moved)


def _outer(axis: int, length: int, block: int) -> Dim:
    return merge([(axis, block, length // block)])


def index_of(dim: Dim) -> list[int]:
    """The channels of a dimension, in its order."""
    return [int(i) for i in np.asarray(positions(dim))]
