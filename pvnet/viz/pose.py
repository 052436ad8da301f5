"""Skeletons over pictures: the person's left in blue, right in orange, confidence as opacity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import JOINTS, SIDE, SKELETON
from pvnet.viz.part import Part, Picture, layer_over, size_of
from pvnet.viz.shapes import draw_capsules

Color = tuple[float, float, float]

LEFT: Color = (64, 170, 255)
RIGHT: Color = (255, 148, 46)
MIDDLE: Color = (240, 240, 240)
_DARK: Color = (14, 16, 20)
_LIGHT: Color = (255, 255, 255)
_COLORS = (LEFT, MIDDLE, RIGHT, _DARK, _LIGHT)  # the first three by side + 1
_DARK_INK, _LIGHT_INK = 3, 4
# Bones by their ends; the last is the neck, which ends between the shoulders.
_FROM, _TO = np.array([*SKELETON, (0, 0)]).T
_BONE_INKS = np.array([1 + (SIDE[a] if SIDE[a] == SIDE[b] else 0) for a, b in zip(_FROM, _TO)])
_JOINT_INKS = np.array([(_DARK_INK, 1 + side, _LIGHT_INK) for side in SIDE])
_SHARES = np.array([[0.6], [1.0], [0.9]], np.float32)


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
            _draw(layer, at, seen, opacity, thickness)


def _draw(
    layer: Part,
    xy: NDArray[np.float32],
    seen: NDArray[np.bool_],
    opacity: NDArray[np.float32],
    thickness: float,
) -> None:
    """All bones, first their dark rims, then all joints; xy [13, 2] are pixels of the layer.

    What is drawn takes the place of what is under it in the layer: mixing each costs most of the
    time.
    """
    inks = np.array([layer.ink(color) for color in _COLORS], np.float32)
    bones = seen[_FROM] & seen[_TO]
    bones[-1] = seen[:3].all()
    ends = np.stack([xy[_FROM], xy[_TO]], axis=1)
    ends[-1, 1] = (xy[1] + xy[2]) / 2
    ends = ends[bones]
    see = np.minimum(opacity[_FROM], opacity[_TO])[bones, None]
    at, trust = xy[seen], opacity[seen, None, None]
    # Of a joint the rim, its colour and a light in the middle, each over the one before.
    radius = thickness * np.where(np.flatnonzero(seen) == 0, 1.7, 1.15)
    radii = np.stack([radius + 0.45 * thickness, radius, 0.45 * radius], axis=1)
    n, m = len(ends), len(at)
    draw_capsules(
        layer.pixels,
        np.concatenate([ends, ends, np.repeat(at, 6, axis=0).reshape(3 * m, 2, 2)]),
        np.concatenate([np.repeat([0.85 * thickness, 0.5 * thickness], n), radii.ravel()]),
        np.concatenate(
            [
                0.45 * see * inks[_DARK_INK],
                0.92 * see * inks[_BONE_INKS[bones]],
                (trust * _SHARES * inks[_JOINT_INKS[seen]]).reshape(3 * m, 4),
            ]
        ),
    )
