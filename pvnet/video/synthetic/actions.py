"""What the figures do: each action as curves of joint angles over its progress.

A pose is a row of PARAMETERS: angles in degrees, `air` in body heights. A limb segment has a
forward angle (0 hangs down, 90 points forward) and a sideways angle (90 points away from the
body). One-shot actions go from progress 0 to 1; cyclic ones repeat with period 1. The two of a
reversed pair are the same curve, run forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PARAMETERS: tuple[str, ...] = (
    "lean",
    "roll",
    "twist",
    "nod",
    "air",
    *(
        f"{limb}_{side}_{angle}"
        for limb in ("arm", "leg")
        for side in ("left", "right")
        for angle in ("upper", "upper_out", "lower", "lower_out")
    ),
)
INDEX = {name: i for i, name in enumerate(PARAMETERS)}


@dataclass(frozen=True)
class Manner:
    """How one performer does an action: strength, favoured side (0 left, 1 right), variant."""

    strength: float = 1.0
    side: int = 1
    variant: int = 0


def neutral(n: int) -> Array:
    """[n, parameters] of a relaxed stand."""
    pose = np.zeros((n, len(PARAMETERS)))
    for side in ("left", "right"):
        _set(pose, f"arm_{side}", 2.0, 9.0, 14.0, 5.0)
        _set(pose, f"leg_{side}", 2.0, 4.0, -2.0, 3.0)
    return pose


def _set(
    pose: Array,
    limb: str,
    upper: Array | float,
    upper_out: Array | float,
    lower: Array | float,
    lower_out: Array | float,
) -> None:
    i = INDEX[f"{limb}_upper"]
    for k, value in enumerate((upper, upper_out, lower, lower_out)):
        pose[:, i + k] = value


def _sides(manner: Manner) -> tuple[str, str]:
    return ("right", "left") if manner.side else ("left", "right")


def _ease(u: Array) -> Array:
    u = np.clip(u, 0.0, 1.0)
    return u * u * u * (u * (u * 6 - 15) + 10)


def _walk(u: Array, manner: Manner) -> Array:
    pose = neutral(len(u))
    swing = 27.0 * manner.strength
    for side, shift in (("left", 0.0), ("right", np.pi)):
        phi = 2 * np.pi * u + shift
        hip = swing * np.sin(phi) + 4
        knee = 7 + 48 * manner.strength * np.maximum(0, np.cos(phi - 0.15)) ** 1.6
        _set(pose, f"leg_{side}", hip, 2.0, hip - knee, 1.0)
        arm = -22 * manner.strength * np.sin(phi)
        _set(pose, f"arm_{side}", arm, 7.0, arm + 18 + 0.3 * np.abs(arm), 4.0)
    pose[:, INDEX["lean"]] = 4.0
    pose[:, INDEX["twist"]] = 6 * np.sin(2 * np.pi * u)
    return pose


def _run(u: Array, manner: Manner) -> Array:
    pose = neutral(len(u))
    for side, shift in (("left", 0.0), ("right", np.pi)):
        phi = 2 * np.pi * u + shift
        hip = 44 * manner.strength * np.sin(phi) + 12
        knee = 22 + 82 * np.maximum(0, np.cos(phi - 0.1)) ** 1.3
        _set(pose, f"leg_{side}", hip, 2.0, hip - knee, 1.0)
        arm = -45 * manner.strength * np.sin(phi) - 5
        _set(pose, f"arm_{side}", arm, 10.0, arm + 85, -5.0)
    pose[:, INDEX["lean"]] = 13.0
    pose[:, INDEX["twist"]] = 10 * np.sin(2 * np.pi * u)
    pose[:, INDEX["air"]] = 0.035 * np.sin(2 * np.pi * u) ** 2
    return pose


def _sit(u: Array, manner: Manner) -> Array:
    pose, e = neutral(len(u)), _ease(u)
    bump = np.sin(np.pi * e)
    for side in ("left", "right"):
        _set(pose, f"leg_{side}", 2 + 84 * e, 4 + 5 * e, -2 - 6 * e - 10 * bump, 3.0)
        _set(pose, f"arm_{side}", 2 + 26 * e + 30 * bump, 9.0, 14 + 62 * e + 25 * bump, 2.0)
    pose[:, INDEX["lean"]] = 4 * e + 38 * bump * manner.strength
    pose[:, INDEX["nod"]] = -12 * bump
    return pose


def _squat(u: Array, manner: Manner) -> Array:
    pose, e = neutral(len(u)), _ease(u)
    depth = 0.9 * min(1.0, manner.strength)
    for side in ("left", "right"):
        _set(pose, f"leg_{side}", 2 + 118 * e * depth, 4 + 12 * e, -2 - 42 * e * depth, 3.0)
        _set(pose, f"arm_{side}", 2 + 108 * e, 9.0, 14 + 100 * e, 3.0)
    pose[:, INDEX["lean"]] = 34 * e * depth
    pose[:, INDEX["nod"]] = -20 * e
    return pose


def _raise_arms(u: Array, manner: Manner) -> Array:
    pose, e = neutral(len(u)), _ease(u)
    lag = _ease(u * 1.15 - 0.15)
    for side in ("left", "right"):
        if manner.variant % 2:
            _set(pose, f"arm_{side}", 2 + 168 * e, 9.0, 14 + 158 * lag, 4.0)
        else:
            _set(pose, f"arm_{side}", 2.0, 9 + 156 * e, 10 * (1 - lag), 5 + 166 * lag)
    pose[:, INDEX["nod"]] = -10 * e
    return pose


def _bow(u: Array, manner: Manner) -> Array:
    pose, e = neutral(len(u)), _ease(u)
    lean = 78 * e * min(1.1, manner.strength)
    for side in ("left", "right"):
        _set(pose, f"arm_{side}", 2 + lean * 0.95, 8.0, 14 + lean, 4.0)
        _set(pose, f"leg_{side}", 2 - 8 * e, 4.0, -2 - 10 * e, 3.0)
    pose[:, INDEX["lean"]] = lean
    pose[:, INDEX["nod"]] = 15 * e
    return pose


def _push(u: Array, manner: Manner) -> Array:
    pose, e = neutral(len(u)), _ease(u)
    for side, lead in (("left", 18.0), ("right", -14.0)):
        _set(pose, f"arm_{side}", -28 + 112 * e, 22 - 14 * e, 96 - 8 * e, 4.0)
        _set(pose, f"leg_{side}", 4 + lead, 4.0, lead - 12, 3.0)
    pose[:, INDEX["lean"]] = -3 + 17 * e * manner.strength
    return pose


def _wave(u: Array, manner: Manner) -> Array:
    pose = neutral(len(u))
    near, _ = _sides(manner)
    swing = np.sin(4 * np.pi * u)
    upper = 104.0 if manner.variant % 2 else 128.0
    _set(pose, f"arm_{near}", 6.0, upper + 5 * swing, 4.0, 178 + 34 * manner.strength * swing - 12)
    pose[:, INDEX["roll"]] = 2 * swing
    return pose


def _clap(u: Array, manner: Manner) -> Array:
    pose = neutral(len(u))
    width = (0.5 - 0.5 * np.cos(4 * np.pi * u)) * manner.strength
    height = 22.0 if manner.variant % 2 else 0.0
    for side in ("left", "right"):
        _set(
            pose,
            f"arm_{side}",
            38.0 + height,
            14 + 24 * width,
            82.0 + height,
            -34 + 70 * width,
        )
    return pose


def _jump(u: Array, manner: Manner) -> Array:
    pose, p = neutral(len(u)), np.mod(u, 1.0)
    crouch = np.where(p < 0.34, np.sin(np.pi * p / 0.34), 0.0)
    crouch += np.where(p > 0.78, 0.8 * np.sin(np.pi * (p - 0.78) / 0.22), 0.0)
    crouch = np.maximum(crouch, 0.0)
    q = np.clip((p - 0.34) / 0.44, 0, 1)
    flight = 4 * q * (1 - q)
    for side in ("left", "right"):
        _set(pose, f"leg_{side}", 2 + 68 * crouch, 4.0, -2 - 42 * crouch - 22 * flight, 3.0)
        _set(
            pose,
            f"arm_{side}",
            2 - 42 * crouch + 145 * flight,
            10.0,
            14 - 30 * crouch + 150 * flight,
            6.0,
        )
    pose[:, INDEX["lean"]] = 24 * crouch
    pose[:, INDEX["air"]] = 0.17 * manner.strength * flight
    return pose


def _kick(u: Array, manner: Manner) -> Array:
    pose, p = neutral(len(u)), np.mod(u, 1.0)
    near, far = _sides(manner)
    back = np.exp(-(((p - 0.28) / 0.11) ** 2))
    front = np.exp(-(((p - 0.55) / 0.13) ** 2))
    hip = 2 - 32 * back + 86 * front * manner.strength
    knee = 4 + 88 * back + 14 * np.exp(-(((p - 0.78) / 0.12) ** 2))
    _set(pose, f"leg_{near}", hip, 5.0, hip - knee, 4.0)
    _set(pose, f"leg_{far}", 2 + 6 * front, 3.0, -6 - 4 * front, 3.0)
    _set(pose, f"arm_{far}", 2 + 50 * front - 30 * back, 28.0, 30 + 40 * front, 20.0)
    _set(pose, f"arm_{near}", 2 - 38 * front + 30 * back, 30.0, 12 - 20 * front, 24.0)
    pose[:, INDEX["lean"]] = 8 * back - 12 * front
    return pose


Curve = Callable[[Array, Manner], Array]


@dataclass(frozen=True)
class Action:
    """One class of action.

    Attributes:
        name: its label.
        curve: progress [n] and manner to [n, parameters].
        cyclic: repeats with period 1; otherwise it happens once, from progress 0 to 1.
        reverse: the curve is run from progress 1 to 0.
        period_s: usual seconds per cycle, or per performance.
        yaw: range of the body's turn in degrees; 0 faces the camera, 90 the right image edge.
        mirrored_yaw: the turn may also be to the other side.
        leaves: name of the action that must follow, because it leaves the stand.
    """

    name: str
    curve: Curve
    cyclic: bool
    reverse: bool
    period_s: float
    yaw: tuple[float, float]
    mirrored_yaw: bool = True
    leaves: str = ""


_TABLE: tuple[Action, ...] = (
    Action("walk_left", _walk, True, False, 1.15, (-112.0, -58.0), False),
    Action("walk_right", _walk, True, False, 1.15, (58.0, 112.0), False),
    Action("run_left", _run, True, False, 0.72, (-108.0, -62.0), False),
    Action("run_right", _run, True, False, 0.72, (62.0, 108.0), False),
    Action("sit_down", _sit, False, False, 1.3, (30.0, 85.0), leaves="stand_up"),
    Action("stand_up", _sit, False, True, 1.3, (30.0, 85.0)),
    Action("squat_down", _squat, False, False, 1.1, (15.0, 85.0), leaves="squat_up"),
    Action("squat_up", _squat, False, True, 1.1, (15.0, 85.0)),
    Action("raise_arms", _raise_arms, False, False, 1.0, (-40.0, 40.0), leaves="lower_arms"),
    Action("lower_arms", _raise_arms, False, True, 1.0, (-40.0, 40.0)),
    Action("bow_down", _bow, False, False, 1.2, (35.0, 90.0), leaves="rise_up"),
    Action("rise_up", _bow, False, True, 1.2, (35.0, 90.0)),
    Action("push", _push, False, False, 0.8, (35.0, 90.0), leaves="pull"),
    Action("pull", _push, False, True, 0.8, (35.0, 90.0)),
    Action("wave", _wave, True, False, 1.1, (-40.0, 40.0)),
    Action("clap", _clap, True, False, 0.9, (-50.0, 50.0)),
    Action("jump", _jump, True, False, 1.25, (10.0, 80.0)),
    Action("kick", _kick, True, False, 1.3, (35.0, 90.0)),
)

ACTIONS: tuple[str, ...] = tuple(a.name for a in _TABLE)
"""Labels; `.action` of a frame is an index into this."""

REVERSED_PAIRS: tuple[tuple[str, str], ...] = tuple((a.name, a.leaves) for a in _TABLE if a.leaves)
"""Pairs that differ only in the direction of time."""


def action(index: int) -> Action:
    """The action of a label index."""
    return _TABLE[index]


def pose_at(act: Action, progress: Array, manner: Manner) -> Array:
    """[n, parameters] of an action at progress [n] (cycles if cyclic, else 0..1)."""
    return act.curve(1.0 - np.clip(progress, 0, 1) if act.reverse else progress, manner)
