"""Skeletons over pictures: the person's left in blue, right in orange, confidence as opacity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import JOINTS, SIDE, SKELETON
from pvnet.viz.part import Part, Picture, layer_over, size_of
from pvnet.viz.shapes import draw_discs, draw_lines

Color = tuple[float, float, float]

LEFT: Color = (64, 170, 255)
RIGHT: Color = (255, 148, 46)
MIDDLE: Color = (240, 240, 240)
_DARK: Color = (14, 16, 20)
_LIGHT: Color = (255, 255, 255)


def side_color(side: int) -> Color:
    """Colour of a side: -1 left, 1 right, 0 middle."""
    return LEFT if side < 0 else RIGHT if side > 0 else MIDDLE


def draw_pose(
    image: Picture,
    joints: ArrayLike,
    scores: ArrayLike | None = None,
    *,
    threshold: float = 0.2,
    thickness: float | None = None,
) -> None:
    """Draw one person's joints and skeleton, in place.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255, or planes of memory of their own.
        joints: [13, 2] pixel x, y; joints that are not finite are left out.
        scores: [13] confidence in 0..1 (None: all 1); it sets the opacity.
        threshold: joints below it are left out.
        thickness: of the bones in pixels (None: by the size of the person).

    Raises:
        InvalidArgumentError: if the shapes are not [13, 2] and [13].
    """
    xy = np.asarray(joints, np.float32)
    n = len(JOINTS)
    trust = np.ones(n, np.float32) if scores is None else np.asarray(scores, np.float32)
    if xy.shape != (n, 2) or trust.shape != (n,):
        raise InvalidArgumentError(
            f"[viz.draw_pose] shapes of joints and scores: got {xy.shape} and {trust.shape}, "
            f"expected ({n}, 2) and ({n},). Pass one person."
        )
    seen = np.isfinite(xy).all(axis=1) & (trust >= threshold)
    if not seen.any():
        return
    if thickness is None:
        extent = float(np.ptp(xy[seen], axis=0).max()) or 0.3 * min(size_of(image))
        thickness = float(np.clip(extent / 42, 1.2, 7.0))
    opacity = np.clip(0.25 + 0.75 * trust, 0, 1)
    reach = 2.2 * thickness + 1  # of the head's rim, the widest
    low, high = xy[seen].min(axis=0) - reach, xy[seen].max(axis=0) + reach
    corners = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    with layer_over(image, *corners) as layer:
        if layer is not None:
            at = xy - np.array([layer.x, layer.y], np.float32)
            _draw(layer, at, np.flatnonzero(seen).tolist(), opacity.tolist(), thickness)


def _draw(
    layer: Part, xy: NDArray[np.float32], seen: list[int], opacity: list[float], thickness: float
) -> None:
    """All bones, first their dark rims, then all joints; xy [13, 2] are pixels of the layer.

    What is drawn takes the place of what is under it in the layer: mixing each costs most of the
    time.
    """
    pairs = [(a, b) for a, b in SKELETON if a in seen and b in seen]
    ends = [(xy[a], xy[b]) for a, b in pairs]
    if {0, 1, 2} <= set(seen):
        pairs.append((0, 0))
        ends.append((xy[0], (xy[1] + xy[2]) / 2))
    sides = [SIDE[a] if SIDE[a] == SIDE[b] else 0 for a, b in pairs]
    see = [min(opacity[a], opacity[b]) for a, b in pairs]
    if ends:
        n = len(ends)
        dark = [layer.paint(_DARK, 0.45 * v) for v in see]
        light = [layer.paint(side_color(side), 0.92 * v) for side, v in zip(sides, see)]
        draw_lines(
            layer.pixels,
            np.array(ends * 2, np.float32),
            [1.7 * thickness] * n + [thickness] * n,
            dark + light,
        )
    radii, inks = [], []
    for j in seen:
        radius = thickness * (1.7 if j == 0 else 1.15)
        radii += [radius + 0.45 * thickness, radius, 0.45 * radius]
        for color, share in ((_DARK, 0.6), (side_color(SIDE[j]), 1.0), (_LIGHT, 0.9)):
            inks.append(layer.paint(color, share * opacity[j]))
    draw_discs(layer.pixels, np.repeat(xy[seen], 3, axis=0), radii, inks)
