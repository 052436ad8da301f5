"""Recorded motion of 13 joints, as Penn Action's: repaired, cut to a window, placed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import FileError
from pvnet.video.joints import FLIP
from pvnet.video.synthetic import body_height

# Actions that look different backwards; reversed, each is a class of its own.
DIRECTED = (
    "baseball_pitch",
    "baseball_swing",
    "bowl",
    "clean_and_jerk",
    "golf_swing",
    "tennis_forehand",
    "tennis_serve",
)
REVERSED = "_reversed"
OWN_FPS = 25.0  # rate of figures and of recorded motion
SPEEDS = (0.65, 1.55)  # of training clips
_SHORTEST = 8
_LEAST_JOINTS = 9
_FACING = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "front": (0.0, 1.0), "back": (0.0, -1.0)}


@dataclass(frozen=True)
class Motion:
    """One recorded performance.

    Attributes:
        name: of the sequence.
        label: index into `Tracks.classes`.
        joints: float32 [n, 13, 2]; gaps are filled from the frames around them.
        known: bool [13], joints that were annotated at least once.
        facing: (right, towards the camera) of the body.
    """

    name: str
    label: int
    joints: NDArray[np.float32]
    known: NDArray[np.bool_]
    facing: tuple[float, float]


class Tracks:
    """The sequences of one part (training or test) of a tracks file.

    Args:
        path: npz with xy [N, 13, 2], label, classes, n_frames, offset, train, viewpoint, seq.
        train: which part; parts are split by sequence.
        reversed_classes: add a class for the backwards performance of each directed action.

    Raises:
        FileError: if the file is missing or is something else.
    """

    def __init__(self, path: Path, *, train: bool, reversed_classes: bool = True) -> None:
        try:
            with np.load(path) as file:
                keys = ("xy", "label", "classes", "offset", "train", "viewpoint", "seq")
                arrays = {k: file[k] for k in keys}
        except (OSError, KeyError, ValueError) as error:
            raise FileError(
                f"[data.figures] {path} holds no tracks: got {error}, expected an npz with xy, "
                "label, classes, offset, train, viewpoint and seq. See docs/data.md."
            ) from error
        own = tuple(str(c) for c in arrays["classes"])
        there = tuple(c for c in DIRECTED if c in own) if reversed_classes else ()
        self.classes = own + tuple(c + REVERSED for c in there)
        self._backwards = {own.index(c): len(own) + k for k, c in enumerate(there)}
        self.motions: list[Motion] = []
        self.left_out = 0
        for k in np.flatnonzero(np.asarray(arrays["train"], np.bool_) == train):
            begin, end = int(arrays["offset"][k]), int(arrays["offset"][k + 1])
            joints, known = repair(arrays["xy"][begin:end])
            if end - begin < _SHORTEST or known.sum() < _LEAST_JOINTS:
                self.left_out += 1
                continue
            facing = _FACING.get(str(arrays["viewpoint"][k]), (0.0, 1.0))
            name, label = str(arrays["seq"][k]), int(arrays["label"][k])
            self.motions.append(Motion(name, label, joints, known, facing))
            if label in self._backwards:
                back = Motion(name + REVERSED, self._backwards[label], joints[::-1], known, facing)
                self.motions.append(back)


def repair(xy: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Joints [n, 13, 2] with the gaps filled in a straight line, and which joints are known [13].

    (1, 1), negative and non-finite points are gaps.
    """
    out = np.array(xy, np.float32)
    gap: NDArray[np.bool_] = np.asarray(
        ~np.isfinite(out).all(axis=-1) | (out <= 1).all(axis=-1), np.bool_
    )
    known = ~gap.all(axis=0)
    rows = np.arange(len(out))
    for j in np.flatnonzero(known & gap.any(axis=0)):
        good = rows[~gap[:, j]]
        for axis in range(2):
            out[:, j, axis] = np.interp(rows, good, out[good, j, axis])
    out[:, ~known] = np.nan
    return out, np.asarray(known, np.bool_)


def cut_window(motion: Motion, frames: int, rate: float, start: float) -> NDArray[np.float32]:
    """A stretch of a performance, interpolated between its frames.

    Args:
        motion: n recorded frames.
        frames: length t of the result.
        rate: recorded frames per frame of the result; a performance that is too short is played
            slower (to half the rate at most) and then holds its last pose.
        start: share 0..1 of the room before it.
    """
    n = len(motion.joints)
    if (frames - 1) * rate > n - 1:
        rate = max((n - 1) / max(frames - 1, 1), 0.5 * rate)
    room = max(0.0, n - 1 - (frames - 1) * rate)
    at = np.clip(start * room + rate * np.arange(frames), 0, n - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, n - 1)
    part = (at - low).astype(np.float32)[:, None, None]
    return np.asarray(motion.joints[low] * (1 - part) + motion.joints[high] * part, np.float32)


def fit(
    joints: NDArray[np.float32],
    known: NDArray[np.bool_],
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    mirrored: bool,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """The motion scaled and moved so that its way fits the picture, more or less.

    Returns:
        joints [t, 13, 2], known [13] (exchanged where mirrored), body height in pixels.
    """
    draw = rng.random(4)
    if mirrored:
        joints = joints[:, list(FLIP)] * np.array([-1, 1], np.float32)
        known = known[list(FLIP)]
    h, w = size
    low = np.nanmin(joints, axis=(0, 1))
    high = np.nanmax(joints, axis=(0, 1))
    extent = np.maximum(high - low, 1.0)
    scale = min((0.55 + 0.4 * draw[0]) * h / extent[1], (0.6 + 0.45 * draw[1]) * w / extent[0])
    # Some way beyond the edge is wanted: people leave pictures.
    free = np.maximum(np.array([w, h]) - scale * extent, 0) + 0.06 * np.array([w, h])
    shift = np.array([w, h]) / 2 + (draw[2:] - 0.5) * free
    out = (joints - (low + high) / 2) * np.float32(scale) + shift.astype(np.float32)
    heights = [body_height(frame, known) for frame in out]
    return np.asarray(out, np.float32), known, float(np.percentile(heights, 90))


def facing_depth(facing: tuple[float, float]) -> NDArray[np.float32]:
    """Of a body seen from the side, the arm and leg on the camera's side are in front."""
    near = np.zeros(13, np.float32)
    side = 1.0 if facing[0] >= 0 else -1.0  # facing right, the right side is the nearer one
    near[[4, 6, 10, 12]], near[[3, 5, 9, 11]] = side, -side
    return near
