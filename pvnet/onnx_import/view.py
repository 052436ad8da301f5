"""How a tensor of the ONNX file lies in a map [c, h, w] of the graph.

Reshapes and transposes of a file move no data here. Every dimension of a tensor is a tuple of
atoms, and an atom is a part of one axis of the map: (axis, stride, size). So a channel shuffle is
a tensor whose channels are two atoms of the axis c in the other order. What needs a map in memory
asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.refusal import Refused

Atom = tuple[int, int, int]
Dim = tuple[Atom, ...]
Shape = tuple[int, int, int]
C, H, W = 0, 1, 2


@dataclass(frozen=True)
class View:
    """A tensor that is computed from the frame.

    Attributes:
        node: of the draft, whose map holds the numbers.
        dims: atoms of every dimension, outer ones first; () is a dimension of 1. Together they
            cover the map once.
    """

    node: str
    dims: tuple[Dim, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the file gives the tensor."""
        return tuple(size(d) for d in self.dims)


def whole(axis: int, length: int) -> Dim:
    """The dimension that is all of one axis."""
    return ((axis, 1, length),) if length > 1 else ()


def nchw(node: str, shape: Shape) -> View:
    """A map as convolutions return it: [1, c, h, w]."""
    return View(node, ((), *(whole(axis, n) for axis, n in enumerate(shape))))


def size(dim: Dim) -> int:
    """Length of a dimension."""
    return math.prod(n for _, _, n in dim)


def axes(dim: Iterable[Atom]) -> set[int]:
    """The axes of the map that a dimension runs over."""
    return {axis for axis, _, _ in dim}


def merge(atoms: Iterable[Atom]) -> Dim:
    """The same dimension in as few atoms as possible."""
    out: list[Atom] = []
    for axis, stride, n in atoms:
        if n == 1:
            continue
        if out and out[-1][0] == axis and out[-1][1] == stride * n:
            out[-1] = (axis, stride, out[-1][2] * n)
        else:
            out.append((axis, stride, n))
    return tuple(out)


def positions(atoms: Iterable[Atom]) -> NDArray[np.int64]:
    """Where on its axis every element of a dimension lies; all atoms are of one axis."""
    index = np.zeros(1, np.int64)
    for _, stride, n in atoms:
        index = (index[:, None] + np.arange(n) * stride).ravel()
    return index


def reshape(x: View, shape: Sequence[int]) -> View:
    """The view with other dimensions, in the same order of elements.

    Raises:
        Refused: a dimension would cut across an axis of the map.
    """
    left = [atom for dim in reversed(x.dims) for atom in reversed(dim)]
    dims = []
    for n in shape:
        dim, need = [], n
        while need > 1:
            axis, stride, length = left.pop() if left else (0, 0, 0)
            if length and need % length == 0:
                dim.append((axis, stride, length))
                need //= length
            elif length and length % need == 0:
                inner = length // need
                dim.append((axis, stride * inner, need))
                left.append((axis, stride, inner))
                need = 1
            else:
                raise Refused(f"a reshape from {list(x.shape)} to {list(shape)} mixes axes")
        dims.append(merge(dim))
    if left or 0 in shape:
        raise Refused(f"a reshape from {list(x.shape)} to {list(shape)} does not fit")
    return View(x.node, tuple(dims))


def transpose(x: View, order: Sequence[int]) -> View:
    """The view with its dimensions in another order."""
    if sorted(order) != list(range(len(x.dims))):
        raise Refused(f"a transpose of {len(x.dims)} dimensions by {list(order)}")
    return View(x.node, tuple(x.dims[i] for i in order))


def padded(x: View, rank: int) -> tuple[Dim, ...]:
    """The dimensions with ones before them, as broadcasting sees them."""
    return ((),) * (rank - len(x.dims)) + x.dims


def constant_on(x: View, array: NDArray[np.float32]) -> NDArray[np.float32]:
    """A constant that is broadcast against a view, as an array over the map's axes.

    Returns:
        float32 [c or 1, h or 1, w or 1]: 1 where the constant does not vary.

    Raises:
        Refused: the constant is larger than the view.
    """
    rank = max(len(x.dims), array.ndim)
    dims, shape = padded(x, rank), (1,) * (rank - array.ndim) + array.shape
    atoms, split = [], []
    for dim, n in zip(dims, shape):
        if n not in (1, size(dim)):
            raise Refused(f"a constant of shape {list(array.shape)} beside {list(x.shape)}")
        atoms += list(dim)
        split += [length if n > 1 else 1 for _, _, length in dim]
    order = sorted(range(len(atoms)), key=lambda i: (atoms[i][0], -atoms[i][1]))
    array = array.reshape(split).transpose(order)
    out = []
    for axis in (C, H, W):
        group = [k for k, i in enumerate(order) if atoms[i][0] == axis]
        varies = any(array.shape[k] > 1 for k in group)
        full = list(array.shape)
        for k in group:
            full[k] = atoms[order[k]][2] if varies else 1
        array = np.broadcast_to(array, full)
        out.append(math.prod(full[k] for k in group))
    return np.ascontiguousarray(array).reshape(out)
