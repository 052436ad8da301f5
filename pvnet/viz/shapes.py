"""Shapes over pictures: by OpenCV where it is installed, else by `pvnet.video.raster`.

Both draw the same within a fraction of a pixel at edges. The synthetic videos never use OpenCV:
their frames are the same bits everywhere.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.video import raster

Image = NDArray[Any]
Point = tuple[float, float]

_SHIFT = 5  # OpenCV takes integers; these are its bits below a pixel
_ONE = 1 << _SHIFT
# OpenCV's anti-aliased edges lie half a pixel outside of the shape that it is given.
_EDGE = 0.5
_SMALL = 12  # radius of discs that numpy draws as fast
_allowed = True


@functools.cache
def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError:  # not there, or without a library of the system that it needs
        return None


@contextmanager
def own_code() -> Iterator[None]:
    """Draws without OpenCV inside, to compare."""
    global _allowed
    before, _allowed = _allowed, False
    try:
        yield
    finally:
        _allowed = before


def _drawer(image: Image) -> Any:
    """OpenCV, if it is there and can draw into this picture in place."""
    plain = image.dtype == np.uint8 and image.strides[1:] == (3, 1) and image.strides[0] > 0
    return _opencv() if _allowed and plain else None


def draw_line(
    image: Image, a: Point, b: Point, *, color: Any, width: float = 2.0, opacity: float = 1.0
) -> None:
    """Draw a segment with round ends, `width` pixels thick."""
    cv2 = _drawer(image)
    box = cv2 and raster.capsule_box(image, a, b, width / 2)
    if cv2 is None:
        raster.draw_line(image, a, b, color=color, width=width, opacity=opacity)
    elif box is not None:
        _fill(cv2, image, box, _capsule(a, b, max(width / 2 - _EDGE, 0.1)), color, opacity)


def draw_disc(
    image: Image, center: Point, radius: float, *, color: Any, opacity: float = 1.0
) -> None:
    """Draw a disc."""
    cv2 = _drawer(image) if radius > _SMALL else None
    if cv2 is None:
        raster.draw_disc(image, center, radius, color=color, opacity=opacity)
    elif (box := raster.capsule_box(image, center, center, radius)) is not None:
        corners = _capsule(center, center, max(radius - _EDGE, 0.1))
        _fill(cv2, image, box, corners, color, opacity)


def draw_rectangle(
    image: Image,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    *,
    color: Any,
    opacity: float = 1.0,
    corner: float = 0.0,
) -> None:
    """Fill [x0, x1] x [y0, y1] (pixel centres), with corners of radius `corner`."""
    cv2 = _drawer(image)
    if cv2 is None:
        raster.draw_rectangle(image, x0, y0, x1, y1, color=color, opacity=opacity, corner=corner)
        return
    box = raster.clip_box(image, x0 - 1, y0 - 1, x1 + 1, y1 + 1)
    if box is None:
        return
    edge = math.ceil(min(corner, (x1 - x0) / 2, (y1 - y0) / 2)) + 1
    left, top = (max(math.ceil(v) + edge, low) for v, low in ((x0, box[0]), (y0, box[1])))
    right, bottom = (min(math.floor(v) - edge + 1, h) for v, h in ((x1, box[2]), (y1, box[3])))
    if left >= right or top >= bottom:
        left, top, right, bottom = box[0], box[3], box[2], box[3]  # there is no inside
    inside = image[top:bottom, left:right]
    if inside.size:
        inside[...] = cv2.LUT(inside, _table(color, opacity))
    for u0, v0, u1, v1 in (  # what is left: above, below, left, right
        (box[0], box[1], box[2], top),
        (box[0], bottom, box[2], box[3]),
        (box[0], top, left, bottom),
        (right, top, box[2], bottom),
    ):
        if u0 < u1 and v0 < v1:
            rim = image[v0:v1, u0:u1]
            at = (x0 - u0, y0 - v0, x1 - u0, y1 - v0)
            raster.draw_rectangle(rim, *at, color=color, opacity=opacity, corner=corner)


def stamp(
    image: Image, mask: NDArray[np.uint8], x: int, y: int, *, color: Any, opacity: float = 1.0
) -> None:
    """Mix a colour in where the mask [h, w], whose upper left corner goes to (x, y), is 255."""
    box = raster.clip_box(image, x, y, x + mask.shape[1] - 1, y + mask.shape[0] - 1)
    if box is None:
        return
    x0, y0, x1, y1 = box
    ink = mask[y0 - y : y1 - y, x0 - x : x1 - x]
    cv2 = _drawer(image)
    if cv2 is None:
        raster.blend(image, box, ink.astype(np.float32) * np.float32(opacity / 255), color)
        return
    part = image[y0:y1, x0:x1]
    cv2.copyTo(cv2.LUT(part, _table(color, opacity)), np.ascontiguousarray(ink), part)


def _table(color: Any, opacity: float) -> NDArray[np.uint8]:
    """[1, 256, 3] what every value of a pixel becomes under a colour."""
    values = np.arange(256, dtype=np.float32)[:, None]
    mixed = (np.asarray(color, np.float32) - values) * np.float32(opacity) + values
    return np.asarray(np.clip(mixed + np.float32(0.5), 0, 255)[None], np.uint8)


def tint(image: Image, layers: Sequence[tuple[NDArray[np.float32], Any]]) -> None:
    """Mix colours into the whole picture, one after the other.

    Args:
        image: the picture.
        layers: alpha in 0..1 and colour of each; the alphas, all of one size [h, w], are stretched
            over the picture.
    """
    h, w = image.shape[:2]
    kept = np.ones((*layers[0][0].shape, 3), np.float32)  # of the picture
    mixed = np.zeros_like(kept)
    for alpha, color in layers:
        a = alpha[..., None]
        kept *= 1 - a
        mixed += (np.asarray(color, np.float32) - mixed) * a
    cv2 = _drawer(image)
    if cv2 is None:
        rows, columns = _stretch(h, kept.shape[0]), _stretch(w, kept.shape[1])
        for channel in range(3):
            part = image[..., channel] * (rows @ kept[..., channel] @ columns.T)
            part += rows @ mixed[..., channel] @ columns.T
            if image.dtype == np.uint8:
                part = np.clip(part + np.float32(0.5), 0, 255)
            image[..., channel] = part.astype(image.dtype)
        return
    factor, addend = (
        cv2.resize(np.rint(v).astype(np.uint8), (w, h), interpolation=cv2.INTER_LINEAR)
        for v in (kept * 255, mixed)
    )
    cv2.add(cv2.multiply(image, factor, scale=1 / 255), addend, dst=image)


def _fill(
    cv2: Any, image: Image, box: raster.Box, corners: NDArray[Any], color: Any, opacity: float
) -> None:
    """Fill a convex shape: drawn over a copy of the box, mixed in by the opacity."""
    x0, y0, x1, y1 = box
    part = image[y0:y1, x0:x1]
    drawn = part.copy()
    points = np.rint((corners - (x0, y0)) * _ONE).astype(np.int32)
    cv2.fillConvexPoly(drawn, points, [float(v) for v in color], cv2.LINE_AA, _SHIFT)
    if opacity < 1:
        cv2.addWeighted(drawn, opacity, part, 1 - opacity, 0, dst=drawn)
    part[...] = drawn


@functools.cache
def _half_circle(corners: int) -> NDArray[np.float64]:
    angle = np.linspace(-math.pi / 2, math.pi / 2, corners)
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _capsule(a: Point, b: Point, radius: float) -> NDArray[np.float64]:
    """Corners of the outline of a segment with round ends."""
    length = math.hypot(b[0] - a[0], b[1] - a[1])
    c, s = ((b[0] - a[0]) / length, (b[1] - a[1]) / length) if length else (1.0, 0.0)
    corners = 3 + math.ceil(5 * math.sqrt(radius))  # within a twentieth of a pixel
    arc = _half_circle(corners) @ np.array([[c, s], [-s, c]]) * radius
    return np.concatenate([arc + b, -arc + a])


def _stretch(n: int, m: int) -> NDArray[np.float32]:
    """[n, m] weights that stretch m values to n, edges matched."""
    at = np.clip((np.arange(n) + 0.5) * (m / n) - 0.5, 0, m - 1)
    low = np.minimum(at.astype(np.int64), max(m - 2, 0))
    out = np.zeros((n, m), np.float32)
    out[np.arange(n), low] = 1 - (at - low)
    out[np.arange(n), np.minimum(low + 1, m - 1)] += at - low
    return out
