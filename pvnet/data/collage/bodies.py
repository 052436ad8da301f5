"""The shape of a person around 13 joints, and its picture bent to another pose.

Shapes are capsules with room for clothes, in units of the body's height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.data.resample import bilinear
from pvnet.video.raster import Box, blend, capsule_box, capsule_distance, coverage, grid
from pvnet.video.synthetic import body_height

Array = NDArray[np.float32]
Seen = NDArray[np.bool_]

TORSO = (1, 2, 7, 8)
# Joints a, b, radii at both, and how far the shape reaches beyond b (a hand, a foot).
LIMBS: tuple[tuple[int, int, float, float, float], ...] = (
    (1, 3, 0.050, 0.040, 0.0),
    (3, 5, 0.040, 0.032, 0.05),
    (2, 4, 0.050, 0.040, 0.0),
    (4, 6, 0.040, 0.032, 0.05),
    (7, 9, 0.072, 0.054, 0.0),
    (9, 11, 0.052, 0.042, 0.03),
    (8, 10, 0.072, 0.054, 0.0),
    (10, 12, 0.052, 0.042, 0.03),
)
OTHER_SIDE = (2, 3, 0, 1, 6, 7, 4, 5)  # of each limb
_NECK, _HEAD, _TRUNK = 0.045, 0.085, 0.068
_LEAST = 3.0  # pixels: a shorter body is none


@dataclass(frozen=True)
class Capsule:
    """A part of a body: from a to b, in pixels."""

    a: Array
    b: Array
    ra: float
    rb: float

    def box(self, image: Array) -> Box | None:
        """Pixels it can touch."""
        return capsule_box(image, _xy(self.a), _xy(self.b), max(self.ra, self.rb))

    def distance(self, box: Box) -> Array:
        """Signed distance [h, w] of the pixels of a box."""
        return capsule_distance(*grid(box), _xy(self.a), _xy(self.b), self.ra, self.rb)[0]


def _xy(point: Array) -> tuple[float, float]:
    return (float(point[0]), float(point[1]))


def limb(joints: Array, k: int, height: float, *, room: float = 1.0) -> Capsule:
    """Limb k of `LIMBS`, hand or foot included."""
    a, b, ra, rb, beyond = LIMBS[k]
    start, end = joints[a], joints[b]
    length = float(np.hypot(*(end - start)))
    tip = end + (end - start) * np.float32(beyond * height / max(length, 1e-3))
    return Capsule(start, tip, room * ra * height, room * rb * height)


def trunk(joints: Array, height: float, *, room: float = 1.0) -> list[Capsule]:
    """Capsules that cover the torso; all four of its joints are known."""
    left, right, left_hip, right_hip = (joints[j] for j in TORSO)
    r = room * _TRUNK * height
    third = [(2 * p + q) / np.float32(3) for p, q in ((left, right), (right, left))]
    below = [(2 * p + q) / np.float32(3) for p, q in ((left_hip, right_hip), (right_hip, left_hip))]
    return [
        Capsule(left + (right - left) * np.float32(0.1), left_hip, r, r),
        Capsule(right + (left - right) * np.float32(0.1), right_hip, r, r),
        Capsule(third[0], below[0], r, r),
        Capsule(third[1], below[1], r, r),
    ]


def head(joints: Array, seen: Seen, height: float, *, room: float = 1.0) -> list[Capsule]:
    """Neck (where the shoulders are known) and head; the head's joint is known."""
    r = room * _HEAD * height
    if not seen[[1, 2]].all():
        return [Capsule(joints[0], joints[0], r, r)]
    base = (joints[1] + joints[2]) / 2
    length = max(float(np.hypot(*(joints[0] - base))), 1e-3)
    crown = joints[0] + (joints[0] - base) * np.float32(0.03 * height / length)
    return [
        Capsule(base, joints[0], room * _NECK * height, room * _NECK * height),
        Capsule(joints[0], crown, r, r),
    ]


def silhouette(
    joints: Array, seen: Seen, size: tuple[int, int], *, room: float = 1.0, soft: float = 1.0
) -> Array:
    """Alpha [h, w] of the person: 1 inside the shape, 0 outside.

    Args:
        joints: [13, 2] pixel x, y.
        seen: [13] bool, joints to trust.
        size: (h, w) of the picture.
        room: factor on all radii.
        soft: width of the edge in pixels.
    """
    alpha = np.zeros(size, np.float32)
    height = body_height(joints, seen)
    if height < _LEAST:
        return alpha
    parts = [
        limb(joints, k, height, room=room)
        for k, (a, b, *_) in enumerate(LIMBS)
        if seen[a] and seen[b]
    ]
    if seen[list(TORSO)].all():
        parts += trunk(joints, height, room=room)
    if seen[0]:
        parts += head(joints, seen, height, room=room)
    for part in parts:
        box = part.box(alpha[..., None])
        if box is not None:
            x0, y0, x1, y1 = box
            shape = coverage(part.distance(box) / np.float32(soft))
            np.maximum(alpha[y0:y1, x0:x1], shape, out=alpha[y0:y1, x0:x1])
    return alpha


@dataclass(frozen=True)
class Skin:
    """A picture of a person from which body parts are taken.

    Attributes:
        image: float32 [h, w, 3], 0..255.
        joints: [13, 2] pixel x, y.
        seen: [13] bool.
        height: of the body in pixels.
    """

    image: Array
    joints: Array
    seen: Seen
    height: float

    @staticmethod
    def of(image: NDArray[np.uint8], joints: Array, seen: Seen) -> Skin | None:
        """The skin of a person whose torso, head and some limb of each kind are seen, or None."""
        height = body_height(joints, seen)
        arm = seen[[1, 3, 5]].all() or seen[[2, 4, 6]].all()
        leg = seen[[7, 9, 11]].all() or seen[[8, 10, 12]].all()
        if height < 4 * _LEAST or not (seen[[0, *TORSO]].all() and arm and leg):
            return None
        return Skin(image.astype(np.float32), joints, seen, height)

    def limb(self, k: int) -> int:
        """The limb that is taken for limb k: itself, else the one of the other side."""
        a, b, *_ = LIMBS[k]
        return k if self.seen[a] and self.seen[b] else OTHER_SIDE[k]

    def axis(self, part: int | str) -> tuple[Array, Array, float]:
        """Where a part begins and ends, and its signed width (1 for round parts)."""
        return _axis(self.joints, self.limb(part) if isinstance(part, int) else part, self.height)


def _axis(joints: Array, part: int | str, height: float) -> tuple[Array, Array, float]:
    if isinstance(part, int):
        a, b, *_ = LIMBS[part]
        return joints[a], joints[b], 1.0
    top = (joints[1] + joints[2]) / 2
    if part == "head":
        return top, joints[0], 1.0
    bottom = (joints[7] + joints[8]) / 2
    along = (bottom - top) / max(float(np.hypot(*(bottom - top))), 1e-3)
    across = np.array([-along[1], along[0]], np.float32)
    width = float((joints[2] - joints[1] + joints[8] - joints[7]) @ across) / 2
    # A body seen from the side still has a side that faces us.
    return top, bottom, float(np.copysign(max(abs(width), 0.07 * height), width))


def bend(
    image: Array, skin: Skin, joints: Array, seen: Seen, height: float, near: Sequence[float]
) -> Seen:
    """Draw a person in another pose with the body parts of a skin.

    Args:
        image: float32 [h, w, 3], changed in place.
        skin: where the parts come from.
        joints: [13, 2] pixel x, y of the pose.
        seen: [13] bool, joints of the pose that are known.
        height: of the body in pixels.
        near: [10] depth of each limb of `LIMBS`, the torso and the head; larger is nearer.

    Returns:
        [13] bool, joints that were drawn.
    """
    drawn = np.zeros(13, np.bool_)
    order: list[tuple[float, int | str]] = []
    for k, (a, b, *_) in enumerate(LIMBS):
        own = LIMBS[skin.limb(k)]
        if seen[a] and seen[b] and skin.seen[own[0]] and skin.seen[own[1]]:
            order.append((near[k], k))
            drawn[[a, b]] = True
    if seen[list(TORSO)].all():
        order.append((near[8], "torso"))
        drawn[list(TORSO)] = True
        if seen[0]:
            order.append((near[9], "head"))
            drawn[0] = True
    for _, part in sorted(order, key=lambda o: o[0]):
        if isinstance(part, int):
            shapes = [limb(joints, part, height)]
        elif part == "torso":
            shapes = trunk(joints, height)
        else:
            shapes = head(joints, seen, height)
        _draw(image, skin, part, shapes, _axis(joints, part, height), height)
    return drawn


def _draw(
    image: Array,
    skin: Skin,
    part: int | str,
    shapes: Sequence[Capsule],
    axis: tuple[Array, Array, float],
    height: float,
) -> None:
    boxes = [b for b in (s.box(image) for s in shapes) if b is not None]
    if not boxes:
        return
    corners = np.array(boxes)
    x0, y0 = (int(v) for v in corners[:, :2].min(axis=0))
    x1, y1 = (int(v) for v in corners[:, 2:].max(axis=0))
    box = (x0, y0, x1, y1)
    distance = shapes[0].distance(box)
    for shape in shapes[1:]:
        distance = np.minimum(distance, shape.distance(box))
    x, y = grid(box)
    a, b, width = axis
    length = max(float(np.hypot(*(b - a))), 1e-3)
    ex, ey = (float(v) for v in (b - a) / length)
    along = (x - a[0]) * ex + (y - a[1]) * ey
    across = (y - a[1]) * ex - (x - a[0]) * ey
    # The same on the skin: along the part by share, beyond its ends and across it by body height.
    own_a, own_b, own_width = skin.axis(part)
    own_length = max(float(np.hypot(*(own_b - own_a))), 1e-3)
    sx, sy = (float(v) for v in (own_b - own_a) / own_length)
    scale = skin.height / height
    on = np.clip(along, 0, length)
    u = on * (own_length / length) + (along - on) * scale
    v = across * (own_width / width if part == "torso" else scale)
    colours = bilinear(skin.image, own_a[0] + u * sx - v * sy, own_a[1] + u * sy + v * sx)
    blend(image, box, coverage(distance), colours)
