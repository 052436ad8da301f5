"""Training clips in which the person is put elsewhere, as it is or in another pose.

A small set of videos shows few people, each before one background: a network learns them by heart.
A collage takes the person out of one video along its joints, and inpaints the hole that is left in
another one. It puts the person there (a cut-out), or a body with that person's parts that moves as
yet another one does (a puppet).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import Clip, Dataset, find_inside
from pvnet.data.collage.bodies import LIMBS, Skin, bend, silhouette
from pvnet.data.collage.inpaint import inpaint
from pvnet.data.resample import move, warp
from pvnet.data.sets.tracks import OWN_FPS, SPEEDS, Tracks, cut_window, facing_depth, fit
from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import FLIP
from pvnet.video.synthetic import body_height

Array = NDArray[np.float32]

_TRIES = 4
_WHOLE = 9  # joints of a person who is taken out whole
_LARGEST_HOLE = 0.4  # share of the picture


@dataclass(frozen=True)
class Collage:
    """A data set whose training clips are partly collages of its own people and places.

    Attributes:
        dataset: clips with joints, of one length and size.
        cutouts: share of clips with a person of another place.
        puppets: share of clips with a body that moves like another one.
        motion: recorded motion for puppets; None: that of the other clips.
    """

    dataset: Dataset
    cutouts: float
    puppets: float
    motion: Tracks | None = None

    def __post_init__(self) -> None:
        shares = (self.cutouts, self.puppets)
        if not (all(np.isfinite(s) and s >= 0 for s in shares) and sum(shares) <= 1):
            raise InvalidArgumentError(
                f"[data.collage] cutouts and puppets: got {self.cutouts} and {self.puppets}, "
                "expected shares of at least 0, together at most 1. Change them."
            )

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.dataset.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the data set."""
        return self.dataset.classes

    @property
    def mirror_labels(self) -> tuple[int, ...]:
        """Of the data set."""
        return self.dataset.mirror_labels

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.dataset)

    def get(self, index: int, rng: np.random.Generator) -> Clip:
        """Clip `index` as it is, or with its person elsewhere.

        The label stays that of the clip, also where a puppet does something else: train joints
        with collages, not actions.

        Raises:
            InvalidArgumentError: for an index there is not.
            FileError: if no clip can be read.
        """
        kind = float(rng.random())
        clip = self.dataset.get(index, rng)
        if kind >= self.cutouts + self.puppets or clip.joints is None or clip.visible is None:
            return clip
        behind = self._place(rng, len(clip.frames))
        if behind is None:
            return clip
        made = self._puppet(clip, behind, rng) if kind >= self.cutouts else None
        return made or _cut_out(clip, behind, rng) or clip

    def _place(self, rng: np.random.Generator, frames: int) -> Array | None:
        """Pictures [t, h, w, 3] of another clip without its person."""
        for _ in range(_TRIES):
            other = self.dataset.get(int(rng.integers(len(self))), rng)
            if len(other.frames) != frames or other.joints is None or other.visible is None:
                continue
            if other.visible.sum(axis=1).min() < _WHOLE:
                continue  # most of that person would stay in the picture
            size = (other.frames.shape[1], other.frames.shape[2])
            holes = np.stack(
                [
                    silhouette(joints, seen, size, room=1.35, soft=2.0)
                    for joints, seen in zip(other.joints, other.visible)
                ]
            )
            if holes.mean() > _LARGEST_HOLE:
                continue
            behind = inpaint(other.frames.astype(np.float32), holes)
            return behind[:, :, ::-1] if rng.random() < 0.5 else behind
        return None

    def _puppet(self, clip: Clip, behind: Array, rng: np.random.Generator) -> Clip | None:
        assert clip.joints is not None
        assert clip.visible is not None
        best = int(np.argmax(clip.visible.sum(axis=1) + rng.random(len(clip.frames))))
        skin = Skin.of(clip.frames[best], clip.joints[best], clip.visible[best])
        if skin is None:
            return None
        moves = self._motion(rng, len(clip.frames), clip.fps)
        if moves is None:
            return None
        size = (behind.shape[1], behind.shape[2])
        path, known, facing = moves
        mirrored = rng.random() < 0.5
        path, known, height = fit(path, known, size, rng, mirrored=mirrored)
        if mirrored:
            facing = (-facing[0], facing[1])
        near = _order(facing, rng)
        dyed = replace(skin, image=np.clip(skin.image * _tint(rng), 0, 255))
        images = np.array(behind, np.float32)
        visible = np.zeros(path.shape[:2], np.bool_)
        for t, joints in enumerate(path):
            there = known & np.isfinite(joints).all(axis=1)
            visible[t] = bend(images[t], dyed, joints, there, height, near)
        return _clip(clip, images, path, visible, "puppet")

    def _motion(
        self, rng: np.random.Generator, frames: int, fps: float
    ) -> tuple[Array, NDArray[np.bool_], tuple[float, float]] | None:
        """A path [t, 13, 2], its known joints [13] and the way the body faces."""
        speed, start = float(np.exp(rng.uniform(*np.log(SPEEDS)))), float(rng.random())
        # Half of the poses are those of the set itself, which are what it is about.
        if self.motion is not None and rng.random() < 0.5:
            motions = self.motion.motions
            own = motions[int(rng.integers(len(motions)))]
            rate = speed * OWN_FPS / fps
            return cut_window(own, frames, rate, start), own.known, own.facing
        other = self.dataset.get(int(rng.integers(len(self))), rng)
        if other.joints is None or other.visible is None or len(other.frames) != frames:
            return None
        known = np.asarray(other.visible.all(axis=0), np.bool_)
        if known.sum() < _WHOLE or body_height(other.joints[0], known) < 8:
            return None
        path = np.where(known[None, :, None], other.joints, np.float32(np.nan))
        return path, known, (float(rng.choice([-1.0, 1.0])), 0.0)

    def describe(self) -> dict[str, Any]:
        """Counts and settings as plain data."""
        moves = "its own" if self.motion is None else f"{len(self.motion.motions)} recorded"
        own = {"cutouts": self.cutouts, "puppets": self.puppets, "motion": moves}
        return {**self.dataset.describe(), "collage": own}


def _cut_out(clip: Clip, behind: Array, rng: np.random.Generator) -> Clip | None:
    """The person of a clip, larger or smaller, turned and moved, before other pictures."""
    assert clip.joints is not None
    assert clip.visible is not None
    t, h, w = clip.frames.shape[:3]
    points = clip.joints[clip.visible]
    if len(points) < 5 * t:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    room, soft = float(rng.uniform(1.0, 1.3)), float(rng.uniform(1.0, 3.0))
    alpha = np.stack(
        [silhouette(j, v, (h, w), room=room, soft=soft) for j, v in zip(clip.joints, clip.visible)]
    )
    scale = float(np.exp(rng.uniform(np.log(0.6), np.log(1.5))))
    scale = min(scale, 1.25 * h / max(float(high[1] - low[1]), 1.0))
    angle = float(np.deg2rad(rng.normal(0, 10)))
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    lin = np.array([[cos, sin], [-sin, cos]])
    if rng.random() < 0.5:
        lin = lin @ np.diag([-1.0, 1.0])
    free = np.maximum(np.array([w, h]) - scale * (high - low), 0) + 0.1 * np.array([w, h])
    target = np.array([w, h]) / 2 + (rng.random(2) - 0.5) * free
    matrix = np.concatenate([lin, ((low + high) / 2 + 0.5 - lin @ target)[:, None]], axis=1)
    frames = warp(clip.frames, matrix, (h, w)).astype(np.float32)
    shape = warp((255 * alpha[..., None]).astype(np.uint8), matrix, (h, w), outside=0)
    weight = shape.astype(np.float32) / np.float32(255)
    images = behind + weight * (np.clip(frames * _tint(rng), 0, 255) - behind)
    joints = move(clip.joints, matrix)
    visible = clip.visible
    if lin[0, 0] * lin[1, 1] - lin[0, 1] * lin[1, 0] < 0:
        joints, visible = joints[:, list(FLIP)], visible[:, list(FLIP)]
    return _clip(clip, images, joints, visible, "cut-out")


def _tint(rng: np.random.Generator) -> Array:
    """Gain [3] of a person's colours."""
    return np.asarray(np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.08, 3)), np.float32)


def _order(facing: tuple[float, float], rng: np.random.Generator) -> list[float]:
    """Depth of each limb, the torso and the head: the far side, legs, torso, head, arms."""
    side = facing_depth(facing)
    if abs(facing[0]) < 0.5:  # seen from the front or from behind
        side = np.zeros(13, np.float32)
        arms = 0.5 if facing[1] >= 0 or rng.random() < 0.3 else -0.5
    else:
        arms = 0.5
    near = []
    for _, b, *_ in LIMBS:
        own = arms if b in (3, 4, 5, 6) else -0.3
        near.append(2 * float(side[b]) + own + 0.05 * float(rng.random()))
    return [*near, 0.0, 0.2]


def _clip(clip: Clip, images: Array, joints: Array, visible: NDArray[np.bool_], kind: str) -> Clip:
    size = (images.shape[1], images.shape[2])
    visible = visible & find_inside(joints, size)
    return replace(
        clip,
        frames=np.clip(images + np.float32(0.5), 0, 255).astype(np.uint8),
        joints=np.where(np.isfinite(joints), joints, np.float32(0)).astype(np.float32),
        visible=visible,
        clip_id=f"{clip.clip_id}-{kind}",
    )
