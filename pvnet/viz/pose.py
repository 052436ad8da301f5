"""Skeletons over pictures: the person's left in blue, right in orange, confidence as opacity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import JOINTS, SIDE, SKELETON
from pvnet.viz.shapes import draw_disc, draw_line

Color = tuple[float, float, float]

LEFT: Color = (64, 170, 255)
RIGHT: Color = (255, 148, 46)
MIDDLE: Color = (240, 240, 240)
_DARK: Color = (14, 16, 20)


def side_color(side: int) -> Color:
    """Colour of a side: -1 left, 1 right, 0 middle."""
    return LEFT if side < 0 else RIGHT if side > 0 else MIDDLE


def draw_pose(
    image: NDArray[Any],
    joints: ArrayLike,
    scores: ArrayLike | None = None,
    *,
    threshold: float = 0.2,
    thickness: float | None = None,
) -> None:
    """Draw one person's joints and skeleton, in place.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255.
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
        extent = float(np.ptp(xy[seen], axis=0).max()) or 0.3 * min(image.shape[:2])
        thickness = float(np.clip(extent / 42, 1.2, 7.0))
    opacity = np.clip(0.25 + 0.75 * trust, 0, 1)
    bones = [(xy[a], xy[b], a, b) for a, b in SKELETON if seen[a] and seen[b]]
    if seen[[0, 1, 2]].all():
        bones.append((xy[0], (xy[1] + xy[2]) / 2, 0, 0))
    for dark in (True, False):
        for p, q, a, b in bones:
            color = side_color(SIDE[a] if SIDE[a] == SIDE[b] else 0)
            draw_line(
                image,
                (float(p[0]), float(p[1])),
                (float(q[0]), float(q[1])),
                color=_DARK if dark else color,
                width=thickness + (0.7 * thickness if dark else 0),
                opacity=float(min(opacity[a], opacity[b])) * (0.45 if dark else 0.92),
            )
    for j in np.flatnonzero(seen):
        center, see = (float(xy[j, 0]), float(xy[j, 1])), float(opacity[j])
        radius = thickness * (1.7 if j == 0 else 1.15)
        draw_disc(image, center, radius + 0.45 * thickness, color=_DARK, opacity=0.6 * see)
        draw_disc(image, center, radius, color=side_color(SIDE[j]), opacity=see)
        draw_disc(image, center, 0.45 * radius, color=(255, 255, 255), opacity=0.9 * see)
