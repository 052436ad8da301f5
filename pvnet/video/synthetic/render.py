"""Draws a figure from its 13 joints: clothes, shading, depth order.

The joints may come from the synthetic performer or from recorded tracks; depth and toes are
optional, so that flat tracks work too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import JOINTS
from pvnet.video.raster import (
    blend,
    capsule_box,
    capsule_distance,
    clip_box,
    coverage,
    draw_disc,
    grid,
)
from pvnet.video.synthetic.body import Color, Style

Array = NDArray[np.float32]
Point = tuple[float, float]

# Limb segments: joints a, b, radii at a and b (body heights), which cover ("sleeve" or "leg"),
# and the share of the limb (shoulder to wrist, hip to ankle) the segment starts at.
_SEGMENTS: tuple[tuple[int, int, float, float, str, float], ...] = (
    (1, 3, 0.030, 0.023, "sleeve", 0.0),
    (3, 5, 0.023, 0.017, "sleeve", 0.5),
    (2, 4, 0.030, 0.023, "sleeve", 0.0),
    (4, 6, 0.023, 0.017, "sleeve", 0.5),
    (7, 9, 0.050, 0.035, "leg", 0.0),
    (9, 11, 0.034, 0.022, "leg", 0.5),
    (8, 10, 0.050, 0.035, "leg", 0.0),
    (10, 12, 0.034, 0.022, "leg", 0.5),
)


def body_height(joints: Array, visible: NDArray[np.bool_]) -> float:
    """Height in pixels of the body that fits joints [13, 2]: by torso, else by limbs."""
    estimates = []
    for pairs, share in (
        (((1, 7), (2, 8)), 0.29),
        (((7, 9), (8, 10), (9, 11), (10, 12)), 0.245),
        (((1, 3), (2, 4), (3, 5), (4, 6)), 0.16),
    ):
        lengths = [
            float(np.hypot(*(joints[a] - joints[b]))) for a, b in pairs if visible[a] and visible[b]
        ]
        if lengths:
            estimates.append(max(lengths) / share)  # foreshortening only makes bones shorter
    return max(estimates[:2] or estimates, default=0.0)


def draw_figure(
    image: Array,
    joints: Array,
    *,
    style: Style,
    visible: NDArray[np.bool_] | None = None,
    depth: Array | None = None,
    toes: Array | None = None,
    height: float | None = None,
    facing: Point = (0.0, 1.0),
) -> None:
    """Draw a clothed figure.

    Args:
        image: [h, w, 3] float32, 0..255, changed in place.
        joints: [13, 2] float32 pixel x, y.
        style: its looks.
        visible: [13] bool, joints to trust (None: all that are finite).
        depth: [13] larger is nearer to the camera (None: left arm and leg behind).
        toes: [2, 2] pixel x, y of the tips of the feet (None: guessed from the shanks).
        height: body height in pixels (None: from the joints).
        facing: (right, towards the camera) components of the forward direction.

    Raises:
        InvalidArgumentError: if joints is not [13, 2].
    """
    joints = np.asarray(joints, np.float32)
    if joints.shape != (len(JOINTS), 2):
        raise InvalidArgumentError(
            f"[synthetic.draw_figure] shape of joints: got {joints.shape}, expected (13, 2). "
            "Pass one figure's 13 joints in the order of pvnet.video.joints.JOINTS."
        )
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(joints).all(axis=1), np.bool_)
    if visible is not None:
        seen = seen & np.asarray(visible, np.bool_)
    size = body_height(joints, seen) if height is None else height
    if size < 2:
        return
    near = np.zeros(13, np.float32) if depth is None else np.asarray(depth, np.float32)
    if depth is None:
        near[[3, 5, 9, 11]], near[[4, 6, 10, 12]] = -1.0, 1.0
    if toes is None:
        toes = _guess_toes(joints, size, facing)
    _draw_parts(image, joints, seen, near, toes, size, style, facing)


def _draw_parts(
    image: Array,
    joints: Array,
    seen: NDArray[np.bool_],
    near: Array,
    toes: Array,
    size: float,
    style: Style,
    facing: Point,
) -> None:
    """Draw all parts, the farthest first."""
    parts: list[tuple[float, int]] = []
    for k, (a, b, *_) in enumerate(_SEGMENTS):
        if seen[a] and seen[b]:
            parts.append((float(near[a] + 2 * near[b]) / 3, k))
    if seen[[1, 2, 7, 8]].all():
        parts.append((float(near[[1, 2, 7, 8]].mean()), 8))
    if seen[0]:
        parts.append((float(near[0]), 9))
        if style.long_hair and parts:  # falls behind the shoulders of who faces the camera
            back = min(p[0] for p in parts) - 1 if facing[1] > 0 else float(near[0]) - 1e-3
            parts.append((back, 10))
    thick = size * style.girth
    for _, k in sorted(parts):
        if k < 8:
            a, b, ra, rb, cover, begin = _SEGMENTS[k]
            if k in (5, 7):
                _foot(image, joints[b], toes[0 if k == 5 else 1], size, style)
            if k in (1, 3):
                _hand(image, joints[a], joints[b], size, style)
            covered = 2 * ((style.sleeve if cover == "sleeve" else style.leg) - begin)
            cloth = style.shirt if cover == "sleeve" else style.trousers
            limb(
                image,
                _point(joints[a]),
                _point(joints[b]),
                (ra * thick, rb * thick),
                cloth=cloth,
                skin=style.skin,
                covered=covered,
            )
        elif k == 8:
            _torso(image, joints, size, style)
        elif k == 9:
            _head(image, joints, seen, size, style, facing)
        else:
            _long_hair(image, joints, seen, size, style, facing)


def limb(
    image: Array,
    a: Point,
    b: Point,
    radii: tuple[float, float],
    *,
    cloth: Color,
    skin: Color,
    covered: float,
) -> None:
    """Draw a round limb from a to b; the first `covered` share of it wears cloth."""
    box = capsule_box(image, a, b, max(radii))
    if box is None:
        return
    x, y = grid(box)
    distance, along = capsule_distance(x, y, a, b, *radii)
    shade = _roundness(distance, max(radii))
    color: Any
    if covered >= 1.0 or covered <= 0.0:
        color = np.asarray(cloth if covered >= 1.0 else skin, np.float32)
    else:
        edge = np.clip((covered - along) * max(np.hypot(b[0] - a[0], b[1] - a[1]), 1) + 0.5, 0, 1)
        color = np.asarray(skin, np.float32) + edge[..., None] * (
            np.asarray(cloth, np.float32) - np.asarray(skin, np.float32)
        )
    blend(image, box, coverage(distance), color * shade[..., None])


def _roundness(distance: Array, radius: float) -> Array:
    """Shade [h, w]: bright in the middle of a round body, darker to its edge."""
    inside = np.clip(1 + distance / np.float32(max(radius, 1e-3)), 0, 1)
    return np.asarray(1.06 - 0.34 * inside * inside, np.float32)


def _point(p: Array) -> Point:
    return (float(p[0]), float(p[1]))


def _guess_toes(joints: Array, size: float, facing: Point) -> Array:
    forward = np.array([facing[0], 0.35], np.float32)
    return np.asarray(joints[11:13] + 0.09 * size * forward, np.float32)


def _foot(image: Array, ankle: Array, toe: Array, size: float, style: Style) -> None:
    if not np.isfinite(toe).all():
        return
    heel = ankle + np.array([0, 0.018 * size], np.float32)
    limb(
        image,
        _point(heel),
        _point(toe),
        (0.024 * size, 0.018 * size),
        cloth=style.shoes,
        skin=style.shoes,
        covered=1.0,
    )


def _hand(image: Array, elbow: Array, wrist: Array, size: float, style: Style) -> None:
    ahead = wrist - elbow
    ahead = ahead / max(float(np.hypot(*ahead)), 1e-3)
    tip = wrist + ahead * 0.035 * size
    limb(
        image,
        _point(wrist),
        _point(tip),
        (0.019 * size, 0.022 * size),
        cloth=style.skin,
        skin=style.skin,
        covered=0.0,
    )


def _torso(image: Array, joints: Array, size: float, style: Style) -> None:
    """Shirt down to the hips, then the seat of the trousers."""
    left, right, left_hip, right_hip = (joints[i] for i in (1, 2, 7, 8))
    top, bottom = (left + right) / 2, (left_hip + right_hip) / 2
    thick = size * style.girth
    r = 0.046 * thick
    bars = (
        (left + (top - left) * 0.22, left_hip + (bottom - left_hip) * 0.1, 0.9 * r, r),
        (right + (top - right) * 0.22, right_hip + (bottom - right_hip) * 0.1, 0.9 * r, r),
        (top, bottom, 1.15 * r, 1.2 * r),
        (left + (top - left) * 0.1, right + (top - right) * 0.1, 0.72 * r, 0.72 * r),
    )
    corners = np.stack([left, right, left_hip, right_hip])
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = clip_box(image, low[0] - 2 * r, low[1] - 2 * r, high[0] + 2 * r, high[1] + 2 * r)
    if box is None:
        return
    x, y = grid(box)
    distance: Array | None = None
    for a, b, ra, rb in bars:
        d, _ = capsule_distance(x, y, _point(a), _point(b), float(ra), float(rb))
        distance = d if distance is None else np.minimum(distance, d)
    assert distance is not None
    axis = bottom - top
    length2 = max(float(axis @ axis), 1.0)
    along = (x - top[0]) * (axis[0] / length2) + (y - top[1]) * (axis[1] / length2)
    shirt = np.asarray(style.shirt, np.float32)
    color = np.broadcast_to(shirt, (*along.shape, 3)).copy()
    if style.stripes:
        band = np.mod(np.floor(along * style.stripes * 2), 2)[..., None] > 0
        color = np.where(band, np.asarray(style.accent, np.float32), color)
    seat = np.clip((along - 0.9) * np.sqrt(length2) + 0.5, 0, 1)[..., None]
    color += seat * (np.asarray(style.trousers, np.float32) - color)
    color *= _roundness(distance, 2.2 * r)[..., None]
    blend(image, box, coverage(distance), color)


def _up(joints: Array, seen: NDArray[np.bool_]) -> Array:
    """Unit vector from the shoulders to the head."""
    if not seen[[1, 2]].all():
        return np.array([0.0, -1.0], np.float32)
    neck = joints[0] - (joints[1] + joints[2]) / 2
    return np.asarray(neck / max(float(np.hypot(*neck)), 1e-3), np.float32)


def _long_hair(
    image: Array,
    joints: Array,
    seen: NDArray[np.bool_],
    size: float,
    style: Style,
    facing: Point,
) -> None:
    up = _up(joints, seen)
    ahead = np.array([facing[0], 0.0], np.float32)
    hair = joints[0] + up * 0.02 * size - ahead * 0.024 * size
    fall = hair - up * 0.095 * size - ahead * 0.018 * size
    ends, radii = (_point(hair), _point(fall)), (0.058 * size, 0.05 * size)
    limb(image, *ends, radii, cloth=style.hair, skin=style.hair, covered=1.0)


def _head(
    image: Array,
    joints: Array,
    seen: NDArray[np.bool_],
    size: float,
    style: Style,
    facing: Point,
) -> None:
    head = joints[0]
    radius = 0.058 * size
    up = _up(joints, seen)
    if seen[[1, 2]].all():
        base = (joints[1] + joints[2]) / 2
        ends = _point(base), _point(head)
        neck = (0.03 * size, 0.026 * size)
        limb(image, *ends, neck, cloth=style.skin, skin=style.skin, covered=0.0)
    right, toward = facing
    ahead = np.array([right, 0.0], np.float32)
    crown = head + up * 0.02 * size
    hair = crown - ahead * 0.022 * size + up * 0.008 * size
    draw_disc(image, _point(hair), 1.03 * radius, color=style.hair, squash=1.1)
    if toward < -0.35:  # seen from behind
        return
    face = head + ahead * 0.012 * size - up * 0.006 * size
    skin = np.asarray(style.skin, np.float32)
    draw_disc(image, _point(face), 0.86 * radius, color=skin * 1.02, squash=1.14)
    if radius < 4:
        return
    side = np.array([-up[1], up[0]], np.float32)
    for k in (-1, 1):
        if abs(right) > 0.85 and k * right < 0:
            continue
        eye = face + side * k * 0.36 * radius * max(toward, 0.3) + ahead * 0.42 * radius
        eye = eye + up * 0.12 * radius
        draw_disc(image, _point(eye), 0.1 * radius, color=(30, 26, 26))


def render(
    joints: Array,
    visible: NDArray[np.bool_],
    *,
    style: Style,
    background: NDArray[Any],
    depth: Array | None = None,
    height: float | None = None,
    facing: Point = (0.0, 1.0),
) -> NDArray[np.uint8]:
    """Draw figures given by tracks of joints over a background.

    Args:
        joints: [13, 2] or [figures, 13, 2] float32 pixel x, y; the last figure is in front.
        visible: [13] or [figures, 13] bool.
        style: looks of the figures.
        background: [h, w, 3] uint8 or float32 (0..255); it is not changed.
        depth: [13] or [figures, 13], larger is nearer (None: unknown).
        height: body height in pixels (None: from these joints; for a track, better the largest
            `body_height` over its frames, so that thickness does not change with the pose).
        facing: (right, towards the camera) components of the forward direction.

    Returns:
        uint8 [h, w, 3].

    Raises:
        InvalidArgumentError: if the shapes do not fit.
    """
    image = np.array(background, np.float32)
    many = np.asarray(joints, np.float32).reshape(-1, *np.shape(joints)[-2:])
    seen = np.asarray(visible, np.bool_).reshape(len(many), -1)
    far = None if depth is None else np.asarray(depth, np.float32).reshape(len(many), -1)
    for k, figure in enumerate(many):
        draw_figure(
            image,
            figure,
            style=style,
            visible=seen[k],
            depth=None if far is None else far[k],
            height=height,
            facing=facing,
        )
    return np.asarray(np.clip(image + 0.5, 0, 255), np.uint8)
