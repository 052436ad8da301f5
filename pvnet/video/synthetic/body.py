"""Bodies: proportions, looks, and forward kinematics from joint angles to joints in space."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.video.synthetic.actions import INDEX

Array = NDArray[np.float64]
Color = tuple[float, float, float]  # 0..255
N_POINTS = 15  # 13 joints, left toe, right toe

_SKIN: tuple[Color, ...] = (
    (255, 219, 188),
    (241, 194, 152),
    (224, 172, 125),
    (198, 140, 95),
    (150, 100, 68),
    (105, 68, 46),
    (72, 46, 34),
)
_HAIR: tuple[Color, ...] = (
    (30, 24, 22),
    (62, 42, 30),
    (110, 74, 42),
    (196, 156, 92),
    (140, 60, 34),
    (150, 150, 152),
)


@dataclass(frozen=True)
class Body:
    """Lengths of a body in units of its height."""

    shank: float = 0.245
    thigh: float = 0.245
    torso: float = 0.29
    neck: float = 0.125
    upper_arm: float = 0.172
    forearm: float = 0.15
    shoulder: float = 0.112
    hip: float = 0.058
    foot: float = 0.1
    girth: float = 1.0

    @staticmethod
    def sample(rng: np.random.Generator) -> Body:
        """A body of ordinary proportions."""
        legs, arms = rng.normal(1.0, 0.04, 2)
        return Body(
            shank=0.245 * legs,
            thigh=0.245 * legs * rng.normal(1, 0.02),
            torso=0.29 * rng.normal(1.0, 0.04),
            neck=0.125 * rng.normal(1.0, 0.04),
            upper_arm=0.172 * arms,
            forearm=0.15 * arms * rng.normal(1, 0.02),
            shoulder=0.112 * rng.normal(1.0, 0.08),
            hip=0.058 * rng.normal(1.0, 0.1),
            girth=float(np.clip(rng.normal(1.0, 0.14), 0.75, 1.4)),
        )


@dataclass(frozen=True)
class Style:
    """Looks of a figure: colours 0..255, cut of the clothes, thickness.

    `sleeve` and `leg` are the covered share of the limb: 0 bare, 0.5 to the middle joint, 1 all.
    `stripes` is the number of stripes on the torso (0: plain).
    """

    skin: Color = (224, 172, 125)
    hair: Color = (62, 42, 30)
    shirt: Color = (60, 110, 190)
    accent: Color = (235, 235, 235)
    trousers: Color = (50, 54, 70)
    shoes: Color = (40, 36, 34)
    sleeve: float = 0.5
    leg: float = 1.0
    stripes: int = 0
    long_hair: bool = False
    girth: float = 1.0

    @staticmethod
    def sample(rng: np.random.Generator, girth: float = 1.0) -> Style:
        """Random looks."""

        def cloth(value: float) -> Color:
            rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.85), value)
            return (255 * rgb[0], 255 * rgb[1], 255 * rgb[2])

        return Style(
            skin=_SKIN[rng.integers(len(_SKIN))],
            hair=_HAIR[rng.integers(len(_HAIR))],
            shirt=cloth(rng.uniform(0.3, 0.98)),
            accent=cloth(rng.uniform(0.3, 0.98)),
            trousers=cloth(rng.uniform(0.15, 0.8)),
            shoes=cloth(rng.uniform(0.1, 0.9)),
            sleeve=float(rng.choice([0.0, 0.25, 0.5, 1.0, 1.0])),
            leg=float(rng.choice([0.3, 0.5, 1.0, 1.0, 1.0])),
            stripes=int(rng.choice([0, 0, 0, 4, 7])),
            long_hair=bool(rng.random() < 0.4),
            girth=girth,
        )


def _direction(forward: Array, out: Array, side: float) -> Array:
    """Unit vectors [n, 3] (x to the body's left, y up, z forward) of a limb segment."""
    f, o = np.deg2rad(forward), np.deg2rad(out)
    return np.stack([side * np.sin(o), -np.cos(o) * np.cos(f), np.cos(o) * np.sin(f)], -1)


def _rotate_torso(v: Array, lean: Array, roll: Array, twist: Array) -> Array:
    """Turn vectors [n, 3] of the torso: twist about y, lean about x, roll about z (degrees)."""
    t, p, r = np.deg2rad(twist), np.deg2rad(lean), np.deg2rad(roll)
    x = np.cos(t) * v[:, 0] + np.sin(t) * v[:, 2]
    z = -np.sin(t) * v[:, 0] + np.cos(t) * v[:, 2]
    y, z = np.cos(p) * v[:, 1] - np.sin(p) * z, np.sin(p) * v[:, 1] + np.cos(p) * z
    x, y = np.cos(r) * x - np.sin(r) * y, np.sin(r) * x + np.cos(r) * y
    return np.stack([x, y, z], -1)


def skeleton(pose: Array, body: Body) -> Array:
    """Joints and toes in the body's frame.

    Args:
        pose: [n, parameters], see `actions.PARAMETERS`.
        body: its lengths.

    Returns:
        [n, 15, 3] in body heights: x to the body's left, y up from the ground, z forward. The
        lower foot stands on the ground unless the pose is in the air, and does not slide: the
        body moves over it.
    """
    n = len(pose)
    lean, roll, twist, nod, air = (pose[:, i] for i in range(5))
    points = np.zeros((n, N_POINTS, 3))

    def turned(x: float, y: float, z: float) -> Array:
        return _rotate_torso(np.tile([x, y, z], (n, 1)), lean, roll, twist)

    head = np.deg2rad(nod)
    neck = np.stack([0 * head, np.cos(head) * body.neck, np.sin(head) * body.neck + 0.012], -1)
    points[:, 0] = turned(0, body.torso, 0) + _rotate_torso(neck, lean, roll, twist)
    for k, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        i = INDEX[f"arm_{side}_upper"]
        shoulder = turned(sign * body.shoulder, body.torso, 0)
        upper = _direction(pose[:, i], pose[:, i + 1], sign)
        lower = _direction(pose[:, i + 2], pose[:, i + 3], sign)
        elbow = shoulder + body.upper_arm * _rotate_torso(upper, lean, roll, twist)
        points[:, 1 + k], points[:, 3 + k] = shoulder, elbow
        points[:, 5 + k] = elbow + body.forearm * _rotate_torso(lower, lean, roll, twist)
        j = INDEX[f"leg_{side}_upper"]
        hip = np.tile([sign * body.hip, 0.0, 0.0], (n, 1))
        knee = hip + body.thigh * _direction(pose[:, j], pose[:, j + 1], sign)
        shank = _direction(pose[:, j + 2], pose[:, j + 3], sign)
        points[:, 7 + k], points[:, 9 + k] = hip, knee
        points[:, 11 + k] = knee + body.shank * shank
        toe = np.stack([0.25 * sign + 0 * lean, 0.55 * shank[:, 2], 0.3 - 0.7 * shank[:, 1]], -1)
        toe[:, 1] = np.minimum(toe[:, 1], 0.25) - 0.12
        points[:, 13 + k] = points[:, 11 + k] + body.foot * toe
    sole = 0.035
    points[..., 1] += (air - points[:, 11:13, 1].min(axis=1))[:, None] + sole
    return points


def root_motion(points: Array, pose: Array) -> Array:
    """Forward displacement [n] of the body that keeps the standing foot where it is."""
    ankles = points[:, 11:13]
    steps = np.diff(ankles[..., 2], axis=0)  # [n-1, 2]
    low = np.argmin(ankles[1:, :, 1] + ankles[:-1, :, 1], axis=1)
    step = -np.take_along_axis(steps, low[:, None], 1)[:, 0]
    # In the air the body keeps a share of its pace instead of standing still.
    flying = pose[1:, INDEX["air"]] > 0.05
    return np.concatenate([[0.0], np.cumsum(np.where(flying, 0.0, step))])
