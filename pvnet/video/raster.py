"""Anti-aliased shapes from signed distances, drawn into numpy images.

A shape is a distance in pixels (negative inside); its coverage of a pixel is clip(0.5 - distance).
Images are [h, w, 3], uint8 or float32 in 0..255, and are changed in place. Pixel centres lie at
integer coordinates.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]  # [h, w, 3] uint8 or float32
Array = NDArray[np.float32]
Box = tuple[int, int, int, int]  # x0, y0, x1, y1, half open


def clip_box(image: Image, x0: float, y0: float, x1: float, y1: float) -> Box | None:
    """Whole pixels that cover [x0, x1] x [y0, y1] inside the image, or None if there are none."""
    if not (math.isfinite(x0 + y0) and math.isfinite(x1 + y1)):
        return None
    h, w = image.shape[:2]
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    right, bottom = min(w, math.ceil(x1) + 1), min(h, math.ceil(y1) + 1)
    return (left, top, right, bottom) if left < right and top < bottom else None


def grid(box: Box) -> tuple[Array, Array]:
    """Pixel coordinates of a box: x [1, w] and y [h, 1] float32."""
    x0, y0, x1, y1 = box
    return (
        np.arange(x0, x1, dtype=np.float32)[None, :],
        np.arange(y0, y1, dtype=np.float32)[:, None],
    )


def blend(image: Image, box: Box, alpha: Array, color: Any) -> None:
    """Mix `color` ([3] or [h, w, 3], 0..255) into the box with alpha [h, w] in 0..1."""
    x0, y0, x1, y1 = box
    part = image[y0:y1, x0:x1]
    mixed = np.asarray(color, np.float32) - part
    mixed *= alpha[..., None]
    if image.dtype == np.uint8:
        mixed += part
        np.clip(mixed + 0.5, 0, 255, out=mixed)
        part[...] = mixed.astype(np.uint8)
    else:
        part += mixed


def capsule_distance(
    x: Array, y: Array, a: tuple[float, float], b: tuple[float, float], ra: float, rb: float
) -> tuple[Array, Array]:
    """Distance to a segment a-b whose radius goes from ra to rb.

    Returns:
        The signed distance [h, w] and the position along the segment [h, w] in 0..1.
    """
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    px, py = x - np.float32(a[0]), y - np.float32(a[1])
    along = px * (dx / max(dx * dx + dy * dy, np.float32(1e-6)))
    along = along + py * (dy / max(dx * dx + dy * dy, np.float32(1e-6)))
    np.minimum(along, 1.0, out=along)
    np.maximum(along, 0.0, out=along)
    ox = px - along * dx
    oy = py - along * dy
    ox *= ox
    oy *= oy
    ox += oy
    np.sqrt(ox, out=ox)
    ox -= along * np.float32(rb - ra)
    ox -= np.float32(ra)
    return ox, along


def coverage(distance: Array, opacity: float = 1.0) -> Array:
    """Alpha [h, w] of a shape: 1 inside, 0 outside, a ramp of one pixel between."""
    alpha = np.float32(0.5) - distance
    np.minimum(alpha, 1.0, out=alpha)
    np.maximum(alpha, 0.0, out=alpha)
    if opacity != 1.0:
        alpha *= np.float32(opacity)
    return alpha


def capsule_box(
    image: Image, a: tuple[float, float], b: tuple[float, float], radius: float
) -> Box | None:
    """The pixels a capsule of at most `radius` can touch."""
    return clip_box(
        image,
        min(a[0], b[0]) - radius - 1,
        min(a[1], b[1]) - radius - 1,
        max(a[0], b[0]) + radius + 1,
        max(a[1], b[1]) + radius + 1,
    )


def draw_line(
    image: Image,
    a: tuple[float, float],
    b: tuple[float, float],
    *,
    color: Any,
    width: float = 2.0,
    opacity: float = 1.0,
) -> None:
    """Draw a segment with round ends, `width` pixels thick."""
    box = capsule_box(image, a, b, width / 2)
    if box is not None:
        distance, _ = capsule_distance(*grid(box), a, b, width / 2, width / 2)
        blend(image, box, coverage(distance, opacity), color)


def draw_disc(
    image: Image,
    center: tuple[float, float],
    radius: float,
    *,
    color: Any,
    opacity: float = 1.0,
    squash: float = 1.0,
) -> None:
    """Draw a disc; `squash` is its height over its width."""
    cx, cy = center
    box = clip_box(
        image,
        cx - radius - 1,
        cy - radius * squash - 1,
        cx + radius + 1,
        cy + radius * squash + 1,
    )
    if box is None:
        return
    x, y = grid(box)
    distance = np.sqrt(np.square(x - np.float32(cx)) + np.square((y - np.float32(cy)) / squash))
    blend(image, box, coverage((distance - np.float32(radius)) * min(1.0, squash), opacity), color)


def draw_ring(
    image: Image, center: tuple[float, float], radius: float, *, color: Any, width: float = 1.0
) -> None:
    """Draw a circle line of the given radius and line width in pixels."""
    reach = radius + width
    box = capsule_box(image, center, center, reach)
    if box is not None:
        x, y = grid(box)
        distance = np.sqrt(np.square(x - np.float32(center[0])) + np.square(y - center[1]))
        blend(image, box, coverage(np.abs(distance - radius) - np.float32(width / 2)), color)


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
    box = clip_box(image, x0 - 1, y0 - 1, x1 + 1, y1 + 1)
    if box is None:
        return
    x, y = grid(box)
    corner = min(corner, (x1 - x0) / 2, (y1 - y0) / 2)
    qx = np.abs(x - (x0 + x1) / 2) - np.float32((x1 - x0) / 2 - corner)
    qy = np.abs(y - (y0 + y1) / 2) - np.float32((y1 - y0) / 2 - corner)
    outside = np.sqrt(np.square(np.maximum(qx, 0)) + np.square(np.maximum(qy, 0)))
    distance = outside + np.minimum(np.maximum(qx, qy), 0) - np.float32(corner)
    blend(image, box, coverage(distance.astype(np.float32), opacity), color)
