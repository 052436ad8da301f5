"""What a data set is: labelled clips, found by index, the same for the same random state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import FileError, InvalidArgumentError

MAX_LISTED = 1000


@dataclass(frozen=True)
class Clip:
    """A stretch of video with what is known of it.

    Attributes:
        frames: uint8 [t, h, w, 3] RGB.
        joints: float32 [t, 13, 2] pixel x, y of `frames`, or None where there are none.
        visible: bool [t, 13], known and inside the picture; None with joints None.
        label: index into the data set's classes, -1 if unknown.
        clip_id: name that stays the same from run to run.
        fps: frames per second of `frames`.
        problems: what went wrong while reading, one line each.
    """

    frames: NDArray[np.uint8]
    joints: NDArray[np.float32] | None
    visible: NDArray[np.bool_] | None
    label: int
    clip_id: str
    fps: float
    problems: tuple[str, ...] = ()


@runtime_checkable
class Dataset(Protocol):
    """Clips by index.

    `get` draws every random choice from `rng`, so the same state gives the same clip, in any
    process. `mirror_labels[k]` is the label of a mirrored clip of label k (walking to the left
    becomes walking to the right); empty if mirroring keeps all labels.
    """

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        ...

    @property
    def mirror_labels(self) -> tuple[int, ...]:
        """Label of each label's mirror image; empty if all stay."""
        ...

    def __len__(self) -> int:
        """Number of clips."""
        ...

    def get(self, index: int, rng: np.random.Generator) -> Clip:
        """Clip `index`; a clip that cannot be read is replaced by another, and said so."""
        ...

    def describe(self) -> dict[str, Any]:
        """Counts and settings as plain data: clips, classes, what was left out."""
        ...


class ClipError(FileError):
    """One clip that cannot be used; the data set goes on without it."""


@dataclass
class LeftOut:
    """Clips left out, by reason.

    Attributes:
        counts: reason (missing, corrupt, short, no label, ...) to number of clips.
        listed: "reason: name: detail" lines, the first 1000.
    """

    counts: dict[str, int] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)

    def add(self, reason: str, name: str, detail: str = "") -> None:
        """Count one clip."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(f"{reason}: {name}" + (f": {detail}" if detail else ""))

    @property
    def total(self) -> int:
        """Number of clips left out."""
        return sum(self.counts.values())

    def document(self) -> dict[str, Any]:
        """Plain data for reports."""
        return {"total": self.total, "counts": dict(self.counts), "listed": list(self.listed)}


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """(h, w) as two positive ints.

    Raises:
        InvalidArgumentError: otherwise.
    """
    if len(size) != 2 or not all(isinstance(n, int) and n >= 8 for n in size):
        raise InvalidArgumentError(
            f"[data] size: got {size!r}, expected (height, width) of at least 8 pixels. "
            "Pass a tuple of two ints."
        )
    return (int(size[0]), int(size[1]))


def check_index(index: int, length: int) -> None:
    """Refuse an index outside 0..length-1.

    Raises:
        InvalidArgumentError: for such an index.
    """
    if not 0 <= index < length:
        raise InvalidArgumentError(
            f"[data] index of a clip: got {index}, expected 0 to {length - 1}. "
            "Ask for a clip there is."
        )


def find_inside(joints: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which of the points [..., 2] (pixel x, y) lie in a picture of (h, w) pixels."""
    limits = np.array([size[1], size[0]], np.float32) - np.float32(0.5)
    with np.errstate(invalid="ignore"):
        return np.asarray(((joints >= -0.5) & (joints < limits)).all(axis=-1), np.bool_)
