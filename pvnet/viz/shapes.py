"""Shapes over pictures: by OpenCV where it is installed, else by `pvnet.video.raster`.

Both draw the same within a fraction of a pixel at edges. Capsules of a layer are the core's. The
synthetic videos never use OpenCV: their frames are the same bits everywhere.
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

from pvnet import _core
from pvnet.video import raster

Image = NDArray[Any]
Point = tuple[float, float]

_SHIFT = 5  # OpenCV takes integers; these are its bits below a pixel
_ONE = 1 << _SHIFT
# OpenCV's anti-aliased edges lie half a pixel outside of the shape that it is given.
_EDGE = 0.5
_SMALL = 2  # radius of discs that OpenCV draws with corners
_UNSEEN = 1 - 0.5 / 255  # a picture of which more is kept does not change
_KEPT_VEIL = 1 << 21  # bytes; a larger one is made anew each time
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


def drawer(image: Image) -> Any:
    """OpenCV, if it is there and can draw into this picture in place."""
    channels = image.shape[-1]
    packed = image.strides[1] == channels and (channels == 1 or image.strides[2] == 1)
    plain = image.dtype == np.uint8 and packed and image.strides[0] > 0
    return _opencv() if _allowed and plain else None


def draw_line(
    image: Image, a: Point, b: Point, *, color: Any, width: float = 2.0, opacity: float = 1.0
) -> None:
    """Draw a segment with round ends, `width` pixels thick."""
    cv2 = drawer(image)
    box = cv2 and raster.capsule_box(image, a, b, width / 2)
    if cv2 is None:
        raster.draw_line(image, a, b, color=color, width=width, opacity=opacity)
    elif box is not None:
        corners = (_capsule(a, b, max(width / 2 - _EDGE, 0.1)) - box[:2]) * _ONE
        ink = [float(v) for v in color]
        with _drawn_over(cv2, image, box, opacity) as part:
            cv2.fillConvexPoly(part, np.rint(corners).astype(np.int32), ink, cv2.LINE_AA, _SHIFT)


def draw_disc(
    image: Image, center: Point, radius: float, *, color: Any, opacity: float = 1.0
) -> None:
    """Draw a disc."""
    cv2 = drawer(image) if radius > _SMALL else None
    if cv2 is None:
        raster.draw_disc(image, center, radius, color=color, opacity=opacity)
    elif (box := raster.capsule_box(image, center, center, radius)) is not None:
        at = [round((v - low) * _ONE) for v, low in zip(center, box)]
        size = round((radius - _EDGE) * _ONE)
        ink = [float(v) for v in color]
        with _drawn_over(cv2, image, box, opacity) as part:
            cv2.circle(part, at, size, ink, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def draw_capsules(
    layer: NDArray[np.uint8],
    ends: NDArray[np.float32],
    radii: NDArray[Any],
    inks: NDArray[Any],
) -> None:
    """Draw opaque segments with round ends, one over the other; discs where both ends are one.

    As `raster.draw_line` draws them, in the core: OpenCV takes twice the time for a skeleton.

    Args:
        layer: uint8 [h, w, 4].
        ends: [n, 2, 2], x and y of both ends.
        radii: [n], in pixels.
        inks: [n, 4], 0..255.
    """
    if len(ends):
        given = (np.ascontiguousarray(a, np.float32) for a in (ends, radii, inks))
        _core.picture.draw_capsules(layer, *given)


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
    if image.dtype != np.uint8:
        raster.draw_rectangle(image, x0, y0, x1, y1, color=color, opacity=opacity, corner=corner)
        return
    box = raster.clip_box(image, x0 - 1, y0 - 1, x1 + 1, y1 + 1)
    if box is None:
        return
    u0, v0, u1, v1 = box
    part = image[v0:v1, u0:u1]
    at = (x0 - u0, y0 - v0, x1 - u0, y1 - v0)
    veil = _veil if part.size <= _KEPT_VEIL else _veil.__wrapped__
    factor, addend = veil(part.shape, at, tuple(map(float, color)), opacity, corner)
    keep_and_add(part, factor, addend, drawer(image))


def keep_and_add(
    part: Image, factor: NDArray[np.uint8], addend: NDArray[np.uint8], cv2: Any
) -> None:
    """Keep so many 255ths of a part of a picture, and add; uint8, all of one shape, in place."""
    if cv2 is not None:
        cv2.multiply(part, factor, dst=part, scale=1 / 255)
        cv2.add(part, addend, dst=part)
        return
    product = np.multiply(part, factor, dtype=np.uint16)
    product += 128
    product += product >> 8  # by 255, rounded
    product >>= 8
    product += addend
    part[...] = np.minimum(product, 255)


# Panels and bands are the same from frame to frame.
@functools.lru_cache(maxsize=16)
def _veil(
    shape: tuple[int, ...],
    at: tuple[float, float, float, float],
    color: tuple[float, ...],
    opacity: float,
    corner: float,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Factor, in 1 / 255, and addend of a picture [h, w, channels] under a rectangle."""
    alpha = np.zeros(shape, np.float32)
    raster.draw_rectangle(alpha, *at, color=np.ones(shape[-1]), opacity=opacity, corner=corner)
    addend = alpha * np.asarray(color, np.float32)
    return np.rint(255 * (1 - alpha)).astype(np.uint8), np.rint(addend).astype(np.uint8)


def stamp(
    image: Image, mask: NDArray[np.uint8], x: int, y: int, *, color: Any, opacity: float = 1.0
) -> None:
    """Mix a colour in where the mask [h, w], whose upper left corner goes to (x, y), is 255."""
    box = raster.clip_box(image, x, y, x + mask.shape[1] - 1, y + mask.shape[0] - 1)
    if box is None:
        return
    x0, y0, x1, y1 = box
    ink = mask[y0 - y : y1 - y, x0 - x : x1 - x]
    cv2 = drawer(image)
    if cv2 is None:
        raster.blend(image, box, ink.astype(np.float32) * np.float32(opacity / 255), color)
        return
    part = image[y0:y1, x0:x1]
    mixed = _plain(part.shape, tuple(map(float, color)))
    if opacity < 1:
        mixed = cv2.addWeighted(mixed, opacity, part, 1 - opacity, 0)
    cv2.copyTo(mixed, np.ascontiguousarray(ink), part)


@functools.lru_cache(maxsize=32)
def _plain(shape: tuple[int, ...], color: tuple[float, ...]) -> NDArray[np.uint8]:
    """A picture [h, w, channels] of one colour."""
    return np.full(shape, np.rint(color), np.uint8)


def tint(image: Image, layers: Sequence[tuple[NDArray[np.float32], Any]]) -> None:
    """Mix colours into the whole picture, one after the other.

    Args:
        image: the picture.
        layers: alpha in 0..1 and colour of each; the alphas, all of one size [h, w], are stretched
            over the picture.
    """
    h, w = image.shape[:2]
    channels = image.shape[-1]
    kept = np.ones((*layers[0][0].shape, channels), np.float32)  # of the picture
    mixed = np.zeros_like(kept)
    for alpha, color in layers:
        a = alpha[..., None]
        kept *= 1 - a
        mixed += (np.asarray(color, np.float32) - mixed) * a
    cv2 = drawer(image)
    if cv2 is None:
        rows, columns = _stretch(h, kept.shape[0]), _stretch(w, kept.shape[1])
        for channel in range(channels):
            part = image[..., channel] * (rows @ kept[..., channel] @ columns.T)
            part += rows @ mixed[..., channel] @ columns.T
            if image.dtype == np.uint8:
                part = np.clip(part + np.float32(0.5), 0, 255)
            image[..., channel] = part.astype(image.dtype)
        return
    seen = kept[..., 0] < _UNSEEN
    top, bottom = _changed(np.flatnonzero(seen.any(axis=1)), len(kept), h)
    left, right = _changed(np.flatnonzero(seen.any(axis=0)), kept.shape[1], w)
    part = image[_scaled(top, h, len(kept)) : _scaled(bottom, h, len(kept))]
    part = part[:, _scaled(left, w, kept.shape[1]) : _scaled(right, w, kept.shape[1])]
    if part.size == 0:
        return
    size = part.shape[1::-1]
    factor = np.rint(kept[top:bottom, left:right, 0] * 255).astype(np.uint8)
    addend = np.rint(mixed[top:bottom, left:right]).astype(np.uint8)
    part = part if channels > 1 else part[..., 0]
    gray = cv2.resize(factor, size, interpolation=cv2.INTER_LINEAR)
    layer = cv2.merge([gray] * channels) if channels > 1 else gray
    cv2.multiply(part, layer, dst=part, scale=1 / 255)
    cv2.resize(addend, size, dst=layer, interpolation=cv2.INTER_LINEAR)
    cv2.add(part, layer, dst=part)


def _changed(seen: NDArray[np.int64], n: int, pixels: int) -> tuple[int, int]:
    """First and end of the cells that a stretched map changes, on borders of whole pixels.

    Args:
        seen: which cells of one axis show something, in order.
        n: how many cells there are.
        pixels: length to which the axis is stretched.
    """
    if len(seen) == 0:
        return 0, 0
    # Every `step` cells end at a border between pixels. A cell reaches into its neighbours.
    step = n // math.gcd(n, pixels)
    first = max(int(seen[0]) - 1, 0) // step * step
    return first, min(-(-(int(seen[-1]) + 2) // step) * step, n)


def _scaled(cell: int, pixels: int, n: int) -> int:
    return cell * pixels // n


@contextmanager
def _drawn_over(cv2: Any, image: Image, box: raster.Box, opacity: float) -> Iterator[Image]:
    """The part of the picture to draw into; what is drawn is mixed in by the opacity."""
    x0, y0, x1, y1 = box
    part = image[y0:y1, x0:x1]
    if opacity >= 1:
        yield part
        return
    drawn = part.copy()
    yield drawn
    cv2.addWeighted(drawn, opacity, part, 1 - opacity, 0, dst=part)


@functools.cache
def _half_circle(corners: int) -> NDArray[np.float64]:
    angle = np.linspace(-math.pi / 2, math.pi / 2, corners)
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _capsule(a: Point, b: Point, radius: float) -> NDArray[np.float64]:
    """Corners [m, 2] of the outline of a segment with round ends."""
    along = np.subtract(b, a)
    length = math.hypot(*along)
    c, s = along / length if length > 0 else (1.0, 0.0)
    corners = 3 + math.ceil(5 * math.sqrt(radius))  # within a twentieth of a pixel
    arc = _half_circle(corners) @ (np.array([[c, s], [-s, c]]) * radius)
    return np.concatenate([arc + b, -arc + a])


def _stretch(n: int, m: int) -> NDArray[np.float32]:
    """[n, m] weights that stretch m values to n, edges matched."""
    at = np.clip((np.arange(n) + 0.5) * (m / n) - 0.5, 0, m - 1)
    low = np.minimum(at.astype(np.int64), max(m - 2, 0))
    out = np.zeros((n, m), np.float32)
    out[np.arange(n), low] = 1 - (at - low)
    out[np.arange(n), np.minimum(low + 1, m - 1)] += at - low
    return out
