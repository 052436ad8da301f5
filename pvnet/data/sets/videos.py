"""The data set of everything that lies in video files: which clip, which window, which crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import Clip, ClipError, LeftOut, check_index, find_inside
from pvnet.data.files.store import Shot, Store
from pvnet.data.resample import Box, letterbox, resample
from pvnet.data.sampling import Sampling
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.video.mapping import Mapping

Crop = Literal["none", "letterbox", "center", "person"]
CROPS: tuple[str, ...] = get_args(Crop)
_TRIES = 20
_PERSON_ROOM = 1.35  # the crop is this much larger than the box of the joints


@dataclass(frozen=True)
class Track:
    """Joints of one video.

    Attributes:
        joints: float32 [n, 13, 2] pixel x, y of the video's own pictures.
        visible: bool [n, 13], known and trusted.
        times_s: float64 [n] time of each row, None where rows are frames.
    """

    joints: NDArray[np.float32]
    visible: NDArray[np.bool_]
    times_s: NDArray[np.float64] | None = None

    def at(self, shot: Shot) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Joints and visibility of the frames of a shot; frames beyond the track know nothing."""
        if self.times_s is not None:
            rows = np.searchsorted(self.times_s, shot.times_s + 1e-3, side="right") - 1
            # A row stands for its own frame, not for a later one that was not labelled.
            near = np.abs(self.times_s[np.clip(rows, 0, None)] - shot.times_s) < 0.05
            known = (rows >= 0) & near
        else:
            assert shot.rows is not None
            rows = shot.rows
            known = rows < len(self.joints)
        rows = np.clip(rows, 0, len(self.joints) - 1)
        return self.joints[rows], self.visible[rows] & known[:, None]


@dataclass(frozen=True)
class Item:
    """One labelled video.

    Attributes:
        clip_id: its name in reports.
        label: index into the classes, -1 if unknown.
        store: its number in the store.
        track: its joints, None without.
    """

    clip_id: str
    label: int
    store: int
    track: Track | None = None


@dataclass
class VideoDataset:
    """Labelled videos as a `Dataset`.

    A video that cannot be read when it is asked for is replaced by another one, chosen by the same
    random state; the clip's `problems` say so.

    Attributes:
        name: what it is called in reports.
        classes: names of the labels.
        items: the videos.
        store: where their frames come from.
        sampling: which window of a video.
        size: (h, w) of the frames handed out.
        crop: "none" (the whole picture, stretched), "letterbox" (the whole picture in its own
            shape, black borders), "center" (the largest box of the size's shape) or "person". The
            last is a box of that shape around the joints; without joints: center.
        left_out: videos left out when the index was made.
        mirror_labels: label of each label's mirror image, empty if all stay.
        settings: more to tell in `describe`.
    """

    name: str
    classes: tuple[str, ...]
    items: Sequence[Item]
    store: Store
    sampling: Sampling
    size: tuple[int, int]
    crop: Crop = "none"
    left_out: LeftOut = field(default_factory=LeftOut)
    mirror_labels: tuple[int, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise InvalidArgumentError(
                f"[data] crop: got {self.crop!r}, expected {', '.join(CROPS)}. "
                "Supported values are these."
            )
        if not self.items:
            reasons = ", ".join(f"{n} {why}" for why, n in self.left_out.counts.items())
            raise FileError(
                f"[data] no usable clip in {self.name}: got 0 of {self.left_out.total} "
                f"({reasons or 'nothing listed'}), expected at least one. Check the folder, the "
                "list and the split."
            )

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.items)

    def get(self, index: int, rng: np.random.Generator) -> Clip:
        """Clip `index`, or another where it cannot be read.

        Raises:
            InvalidArgumentError: for an index there is not.
            FileError: if 20 clips running cannot be read.
        """
        check_index(index, len(self))
        problems: list[str] = []
        for _ in range(_TRIES):
            try:
                return self._read(self.items[index], rng, problems)
            except ClipError as error:
                problems.append(f"{self.items[index].clip_id}: {error}")
                index = int(rng.integers(len(self)))
        raise FileError(
            f"[data] {_TRIES} clips of {self.name} running cannot be read: got {problems[-1]}, "
            "expected videos that decode. Check that the folder is complete."
        )

    def _read(self, item: Item, rng: np.random.Generator, problems: list[str]) -> Clip:
        facts = self.store.facts(item.store)
        wanted = self.sampling.times(self.store.times_s(item.store), facts.fps, rng)
        shot = self.store.read(item.store, wanted)
        stored = shot.frames.shape[1:3]
        joints, visible = None, None
        if item.track is not None:
            joints, visible = item.track.at(shot)
            visible = visible & find_inside(joints, shot.source_size)
            joints = Box.whole(shot.source_size).points(joints, (stored[0], stored[1]))
        if self.crop == "letterbox":
            mapping = Mapping.fit((stored[0], stored[1]), self.size, "letterbox")
            frames = letterbox(shot.frames, mapping)
            joints = None if joints is None else mapping.to_target(joints)
        else:
            box = self._box((stored[0], stored[1]), joints, visible, rng)
            frames = resample(shot.frames, box, self.size)
            joints = None if joints is None else box.points(joints, self.size)
        if joints is not None and visible is not None:
            visible = visible & find_inside(joints, self.size)
            joints = np.where(np.isfinite(joints), joints, np.float32(0))
        return Clip(
            np.ascontiguousarray(frames),
            joints,
            visible,
            item.label,
            item.clip_id,
            self.sampling.rate(facts.fps),
            tuple(problems),
        )

    def _box(
        self,
        stored: tuple[int, int],
        joints: NDArray[np.float32] | None,
        visible: NDArray[np.bool_] | None,
        rng: np.random.Generator,
    ) -> Box:
        if self.crop == "none":
            return Box.whole(stored)
        h, w = stored
        aspect = self.size[1] / self.size[0]
        box_h = min(h, w / aspect)
        x, y = w / 2, h / 2
        draw = rng.uniform(-1, 1, 3) if self.sampling.window == "random" else np.zeros(3)
        if self.crop == "person" and joints is not None and visible is not None and visible.any():
            low, high = joints[visible].min(axis=0), joints[visible].max(axis=0)
            x, y = (float(v) for v in (low + high) / 2 + 0.5)
            extent = float(max(high[1] - low[1], (high[0] - low[0]) / aspect, 0.2 * box_h))
            box_h = extent * _PERSON_ROOM * 1.2 ** float(draw[0])
        room_x, room_y = 0.06 * box_h * aspect, 0.06 * box_h
        x, y = x + room_x * float(draw[1]), y + room_y * float(draw[2])
        half_w, half_h = box_h * aspect / 2, box_h / 2
        return Box(x - half_w, y - half_h, x + half_w, y + half_h)

    def describe(self) -> dict[str, Any]:
        """Counts and settings as plain data."""
        labels = [item.label for item in self.items]
        return {
            "name": self.name,
            "clips": len(self.items),
            "classes": len(self.classes),
            "clips_per_class": {
                c: labels.count(k) for k, c in enumerate(self.classes) if k in set(labels)
            },
            "clips_with_joints": sum(item.track is not None for item in self.items),
            "size": list(self.size),
            "frames": self.sampling.frames,
            "fps": self.sampling.fps,
            "sampling": self.sampling.window,
            "crop": self.crop,
            "left_out": self.left_out.document(),
            **self.settings,
        }
