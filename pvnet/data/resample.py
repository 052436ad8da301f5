"""Resizing a box of a clip, with the points in it; no BLAS: a worker stays one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.video.mapping import Mapping


@dataclass(frozen=True)
class Box:
    """A box of a picture in edge coordinates: the picture of (h, w) is Box(0, 0, w, h).

    Attributes:
        x0: left edge in pixels.
        y0: upper edge.
        x1: right edge.
        y1: lower edge.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    @staticmethod
    def whole(size: tuple[int, int]) -> Box:
        """The box of a whole picture of (h, w) pixels."""
        return Box(0.0, 0.0, float(size[1]), float(size[0]))

    def points(self, points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Points [..., 2] (x, y at pixel centres) as they lie in the box resized to (h, w)."""
        scale = np.array([size[1] / (self.x1 - self.x0), size[0] / (self.y1 - self.y0)])
        out = (np.asarray(points, np.float64) + 0.5 - [self.x0, self.y0]) * scale - 0.5
        return np.asarray(out, np.float32)


def _taps(
    begin: float, end: float, n_in: int, n_out: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Indices and weights [taps, n_out] of a triangle filter; outside is the edge repeated."""
    step = (end - begin) / n_out
    reach = max(1.0, step)
    centre = begin + (np.arange(n_out) + 0.5) * step - 0.5
    first = np.floor(centre - reach).astype(np.int64) + 1
    offsets = np.arange(int(np.ceil(2 * reach)) + 1)[:, None]
    index = first[None, :] + offsets
    weight = np.maximum(0.0, 1.0 - np.abs(index - centre[None, :]) / reach)
    used = weight.max(axis=1) > 1e-6
    index, weight = index[used], weight[used]
    weight /= weight.sum(axis=0, keepdims=True)
    return np.clip(index, 0, n_in - 1), weight.astype(np.float32)


def _along(images: NDArray[Any], taps: tuple[Any, Any], axis: int) -> NDArray[np.float32]:
    index, weight = taps
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    out: NDArray[np.float32] | None = None
    for i, w in zip(index, weight):
        part = np.take(images, i, axis=axis).astype(np.float32)
        part *= w.reshape(shape)
        out = part if out is None else np.add(out, part, out=out)
    assert out is not None
    return out


def resample(frames: NDArray[np.uint8], box: Box, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A box of every frame, resized (smoothly also when it gets smaller).

    Args:
        frames: uint8 [t, h, w, 3].
        box: what to show; beyond the picture its edge is repeated.
        size: (h, w) of the result.

    Returns:
        uint8 [t, h, w, 3].
    """
    h, w = frames.shape[1:3]
    if (h, w) == size and box == Box.whole(size):
        return frames
    rows = _along(frames, _taps(box.y0, box.y1, h, size[0]), 1)
    out = _along(rows, _taps(box.x0, box.x1, w, size[1]), 2)
    out += np.float32(0.5)
    return np.clip(out, 0, 255, out=out).astype(np.uint8)


def letterbox(frames: NDArray[np.uint8], mapping: Mapping) -> NDArray[np.uint8]:
    """Whole frames uint8 [t, h, w, 3] with black borders, of the mapping's target size."""
    inner = resample(frames, Box.whole(mapping.source_size), mapping.inner_size)
    (y, x), (h, w) = mapping.offset, mapping.inner_size
    out = np.zeros((len(frames), *mapping.target_size, 3), np.uint8)
    out[:, y : y + h, x : x + w] = inner
    return out


def bilinear(
    images: NDArray[Any], x: NDArray[Any], y: NDArray[Any]
) -> NDArray[np.float32]:
    """Pictures [..., h, w, c] at points x, y [h', w'] (pixel centres); beyond them their edge."""
    h, w = images.shape[-3:-1]
    x, y = np.clip(x, 0, w - 1), np.clip(y, 0, h - 1)
    x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    x1, y1 = np.minimum(x0 + 1, w - 1), np.minimum(y0 + 1, h - 1)
    fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    out = np.zeros((*images.shape[:-3], *x.shape, images.shape[-1]), np.float32)
    for yy, xx, weight in (
        (y0, x0, (1 - fy) * (1 - fx)),
        (y0, x1, (1 - fy) * fx),
        (y1, x0, fy * (1 - fx)),
        (y1, x1, fy * fx),
    ):
        out += images[..., yy, xx, :].astype(np.float32) * weight[..., None]
    return out


def warp(
    frames: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    *,
    outside: int | None = None,
) -> NDArray[np.uint8]:
    """Every frame under an affine map, bilinear.

    Args:
        frames: uint8 [t, h, w, c].
        matrix: [2, 3], where (x, y, 1) of the result lies in `frames`, edge coordinates.
        size: (h, w) of the result.
        outside: value beyond the picture; None: its edge is repeated.

    Returns:
        uint8 [t, h, w, c].
    """
    h, w = frames.shape[1:3]
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2] - 0.5
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2] - 0.5
    out = bilinear(frames, x, y) + np.float32(0.5)
    if outside is not None:
        out[:, (x < -0.5) | (y < -0.5) | (x > w - 0.5) | (y > h - 0.5)] = outside
    return out.astype(np.uint8)


def move(joints: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Points [..., 2] at pixel centres of the old picture, as they lie in the new one."""
    back = np.linalg.inv(matrix[:, :2])
    out = (np.asarray(joints, np.float64) + 0.5 - matrix[:, 2]) @ back.T - 0.5
    return np.asarray(out, np.float32)
