"""What every kind of source implements: passes over its pictures, already resized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .frame import SourceInfo, SourceStats
from .mapping import Fit, Mapping

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: uint8 [h, w, 3] RGB, its time stamp (None if it has none)."""

    image: Image
    time_s: float | None
    mapping: Mapping | None = None
    original: Image | None = None
    ready: Any = None  # a finished Frame with more fields than the usual ones


class SourceGoneError(Exception):
    """Inside pvnet.video: a live source broke off; its words say how."""


class Reader(Protocol):
    """A source's way to its pictures.

    It may also have `owned` (True: no picture is changed once it was given away), `finish(stats)`
    (after a whole pass: was it whole?), `interrupt()` (from another thread: end the pass),
    `take_gap()` (what was lost before the newest picture) and `clocked` (True: it has no time
    stamps but the moments at which its pictures come).
    """

    info: SourceInfo

    def pictures(self, stats: SourceStats) -> Iterator[Picture]:
        """One pass over all pictures; what goes wrong is counted in `stats`."""
        ...

    def close(self) -> None:
        """Free what is open; may be called twice."""
        ...


class Fitter:
    """Turns PyAV frames into RGB arrays of one size.

    Args:
        av: the module.
        size: (h, w) of the result, None for the size of the first picture.
        fit: "stretch" or "letterbox" (black borders keep the shape of the picture).
        keep_original: also convert the picture at its own size.
    """

    def __init__(
        self, av: Any, size: tuple[int, int] | None, *, fit: Fit, keep_original: bool
    ) -> None:
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._size = size
        self._fit = fit
        self._keep = keep_original
        self._seen: tuple[int, int] | None = None

    def __call__(self, frame: Any, time_s: float | None, stats: SourceStats) -> Picture:
        """Convert a PyAV frame."""
        turns = quarter_turns(getattr(frame, "rotation", 0))
        shown = shown_size(frame)
        if self._size is None:
            self._size = shown
        if self._seen is not None and self._seen != shown:
            stats.size_changes += 1
            stats.note(f"picture size changed from {self._seen} to {shown} (h, w)")
        self._seen = shown
        mapping = Mapping.fit(shown, self._size, self._fit)
        image = self._convert(frame, mapping.inner_size, turns)
        if mapping.inner_size != mapping.target_size:
            framed = np.zeros((*mapping.target_size, 3), np.uint8)
            (y, x), (h, w) = mapping.offset, mapping.inner_size
            framed[y : y + h, x : x + w] = image
            image = framed
        original = None
        if self._keep:
            original = image if shown == self._size else self._convert(frame, shown, turns)
        return Picture(image, time_s, mapping, original)

    def _convert(self, frame: Any, size: tuple[int, int], turns: int) -> Image:
        h, w = size if turns % 2 == 0 else size[::-1]
        rgb = self._reformatter.reformat(frame, width=w, height=h, format="rgb24")
        image = rgb.to_ndarray()
        return np.ascontiguousarray(np.rot90(image, turns) if turns else image)


def shown_size(frame: Any) -> tuple[int, int]:
    """(h, w) of a PyAV frame, turned as it is shown."""
    sideways = quarter_turns(getattr(frame, "rotation", 0)) % 2
    return (frame.width, frame.height) if sideways else (frame.height, frame.width)


def quarter_turns(degrees: float) -> int:
    """Counter-clockwise quarter turns (0..3) of a display rotation in degrees."""
    return round(float(degrees) / 90.0) % 4
