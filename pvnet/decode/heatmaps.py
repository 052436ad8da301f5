"""From heatmaps to joints."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.errors import InvalidArgumentError

# Standard deviation, in cells, of the bumps that the joint networks learn to draw.
BUMP = 1.2


def decode_heatmaps(
    heat: ArrayLike, image_size: tuple[int, int], *, logits: bool = True, smooth: float = BUMP
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The most probable position of every joint, finer than the heatmap's grid.

    The probabilities are first smoothed by a Gaussian (as Zhang et al., CVPR 2020, with the width
    of the training's bumps). Where a network hesitates between two near positions its map is broad
    and rough, and the highest cell says less than the hill around it. A parabola through the
    logarithms of the top and its neighbours then gives the sub-pixel offset on each axis. It is
    exact for a Gaussian bump that lies inside. One cut off by the border is drawn inwards, by about
    half a cell at most.

    Args:
        heat: [j, h, w] logits or probabilities; not finite values count as lowest.
        image_size: (h, w) in pixels of the picture the heatmaps cover.
        logits: whether a sigmoid has still to be taken.
        smooth: standard deviation of the smoothing in cells; 0: none.

    Returns:
        Joints float32 [j, 2], pixel x, y of the picture; scores float32 [j] in 0..1, the highest
        probabilities.

    Raises:
        InvalidArgumentError: if heat is not [j, h, w] with at least one pixel, or smooth is
            negative or not finite.
    """
    maps = np.asarray(heat, np.float32)
    if maps.ndim != 3 or maps.size == 0:
        raise InvalidArgumentError(
            f"[viz.decode_heatmaps] shape of heat: got {maps.shape}, expected [joints, h, w]. "
            "Pass the heatmaps of one frame."
        )
    if not (np.isfinite(smooth) and smooth >= 0):
        raise InvalidArgumentError(
            f"[viz.decode_heatmaps] smooth: got {smooth!r}, expected a number of at least 0. Pass "
            "0 for no smoothing."
        )
    j, h, w = maps.shape
    maps = np.where(np.isfinite(maps), maps, np.float32(-1e30))
    top = np.clip(maps.reshape(j, -1).max(axis=1), -60, 60)
    scores = 1 / (1 + np.exp(-top)) if logits else np.clip(top, 0, 1)
    if smooth:
        maps = _smoothed(maps, smooth, logits=logits)
    best = maps.reshape(j, -1).argmax(axis=1)
    y, x = np.divmod(best, w)
    rows = np.arange(j)
    peak = maps[rows, y, x]
    fine_x = x + _vertex(maps[rows, y, np.maximum(x - 1, 0)], peak, _right(maps, rows, y, x), x, w)
    fine_y = y + _vertex(maps[rows, np.maximum(y - 1, 0), x], peak, _below(maps, rows, y, x), y, h)
    # Pixel centres lie at integers in both pictures, so their edges are matched, not the centres.
    joints = np.stack(
        [(fine_x + 0.5) * (image_size[1] / w) - 0.5, (fine_y + 0.5) * (image_size[0] / h) - 0.5], -1
    )
    return joints.astype(np.float32), scores.astype(np.float32)


def _smoothed(maps: NDArray[np.float32], smooth: float, *, logits: bool) -> NDArray[np.float32]:
    """Logarithms of smoothed probabilities; beyond the picture there is none."""
    p = 1 / (1 + np.exp(-np.clip(maps, -60, 60))) if logits else np.clip(maps, 0, None)
    rows, columns = _gaussian(maps.shape[1], smooth), _gaussian(maps.shape[2], smooth)
    return np.asarray(np.log(np.maximum(rows @ p @ columns, 1e-30)), np.float32)


@functools.lru_cache(maxsize=32)
def _gaussian(n: int, sigma: float) -> NDArray[np.float32]:
    """[n, n] weights of a Gaussian around every cell."""
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    return np.asarray(np.exp(-0.5 * (distance / sigma) ** 2), np.float32)


Index = NDArray[np.int64]


def _right(maps: NDArray[np.float32], rows: Index, y: Index, x: Index) -> NDArray[np.float32]:
    return np.asarray(maps[rows, y, np.minimum(x + 1, maps.shape[2] - 1)])


def _below(maps: NDArray[np.float32], rows: Index, y: Index, x: Index) -> NDArray[np.float32]:
    return np.asarray(maps[rows, np.minimum(y + 1, maps.shape[1] - 1), x])


def _vertex(
    before: NDArray[np.float32],
    peak: NDArray[np.float32],
    after: NDArray[np.float32],
    at: Index,
    n: int,
) -> NDArray[np.float64]:
    """Offset [j] in -0.5..0.5 of the top of the parabola; 0 at the border of the map."""
    low, mid, high = (np.asarray(v, np.float64) for v in (before, peak, after))
    bend = low - 2 * mid + high
    inner = (at > 0) & (at < n - 1) & (bend < 0) & (np.minimum(low, high) > -1e29)
    offset = 0.5 * (low - high) / np.where(inner, bend, 1.0)
    return np.where(inner, np.clip(offset, -0.5, 0.5), 0.0)
