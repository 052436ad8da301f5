"""Inpainting: closing holes in pictures with what is around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def inpaint(images: Array, holes: Array) -> Array:
    """The pictures with their holes closed smoothly: averages of what is known, coarse to fine.

    Args:
        images: float32 [n, h, w, 3].
        holes: [n, h, w] alpha, 1 where nothing of a picture is to be kept.
    """
    known = (1 - holes)[..., None]
    levels = [np.concatenate([images * known, known], axis=-1).astype(np.float32)]
    while max(levels[-1].shape[1:3]) > 1:
        levels.append(_half(levels[-1]))
    last = levels[-1]
    coarse = np.asarray(last[..., :3] / np.maximum(last[..., 3:], 1e-6), np.float32)
    for level in reversed(levels[:-1]):
        h, w = level.shape[1:3]
        coarse = _double(coarse)[:, :h, :w]
        weight = level[..., 3:]
        # A cell that is known well enough keeps its own mean.
        own = level[..., :3] * (1 / np.maximum(weight, np.float32(1)))
        coarse *= 1 - np.minimum(weight, np.float32(1))
        coarse += own
    return np.asarray(coarse, np.float32)


def _half(x: Array) -> Array:
    """Half the sums of 2 x 2 cells; an odd edge is padded with nothing."""
    h, w = x.shape[1:3]
    if h % 2 or w % 2:
        x = np.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)))
    rows = x[:, ::2] + x[:, 1::2]
    return np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.5), np.float32)


def _double(x: Array) -> Array:
    """Twice the size, linear between cells."""
    for axis in (1, 2):
        cells = np.arange(x.shape[axis])
        before = np.take(x, np.maximum(cells - 1, 0), axis=axis)
        after = np.take(x, np.minimum(cells + 1, cells[-1]), axis=axis)
        both = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        x = both.reshape([2 * n if k == axis else n for k, n in enumerate(x.shape)])
    return np.asarray(x, np.float32)
