"""Where frames come from: a decoded cache, or the files themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import ClipError
from pvnet.data.files.cache import FrameCache
from pvnet.data.files.decode import VideoFacts, decode_at
from pvnet.data.files.frame_folders import decode_folder_at


@dataclass(frozen=True)
class Shot:
    """Frames on show at the wanted times.

    Attributes:
        frames: uint8 [t, h, w, 3].
        times_s: float64 [t], their own time stamps.
        rows: int64 [t], their numbers in the video, None where only the times are known.
        source_size: (h, w) of the pictures before they were resized.
    """

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    rows: NDArray[np.int64] | None
    source_size: tuple[int, int]


class Store(Protocol):
    """Videos by number."""

    def facts(self, i: int) -> VideoFacts:
        """Size, rate and length of video i."""
        ...

    def times_s(self, i: int) -> NDArray[np.float64]:
        """Time stamps of all its frames (of files: those its rate and length imply)."""
        ...

    def read(self, i: int, times_s: NDArray[np.float64]) -> Shot:
        """The newest frame not after each time."""
        ...


class CachedStore:
    """Videos out of a decoded cache."""

    def __init__(self, cache: FrameCache) -> None:
        self.cache = cache

    def facts(self, i: int) -> VideoFacts:
        """Size, rate and length of video i."""
        times = self._times(i)
        fps = self.cache.fps(i)
        return VideoFacts(self.cache.source_size(i), fps, float(times[-1]) + 1 / fps)

    def times_s(self, i: int) -> NDArray[np.float64]:
        """Time stamps of all its frames."""
        return self._times(i)

    def read(self, i: int, times_s: NDArray[np.float64]) -> Shot:
        """The newest frame not after each time."""
        times = self._times(i)
        slack = 0.25 / self.cache.fps(i)
        rows = np.searchsorted(times, np.asarray(times_s) + slack, side="right") - 1
        rows = np.clip(rows, 0, len(times) - 1)
        frames = self.cache.frames(i)
        begin, end = int(rows.min()), int(rows.max()) + 1
        if np.array_equal(rows, np.arange(begin, end)):
            picked = np.array(frames[begin:end])  # one stretch: a copy is one read
        else:
            picked = frames[rows]
        return Shot(picked, times[rows], rows, self.cache.source_size(i))

    def _times(self, i: int) -> NDArray[np.float64]:
        times = self.cache.times_s(i)
        if not len(times):
            raise ClipError(self.cache.problems[i])
        return times


class FileStore:
    """Videos decoded where they lie, a window at a time.

    Args:
        paths: video files, or folders of images.
        facts: what `probe` said of each.
        size: (h, w) of the frames to hand out; None: each video's own times `scale`.
        scale: factor on the own size.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        facts: Sequence[VideoFacts],
        *,
        size: tuple[int, int] | None,
        scale: float = 1.0,
    ) -> None:
        self._paths, self._facts = list(paths), list(facts)
        self._size, self._scale = size, scale

    def facts(self, i: int) -> VideoFacts:
        """Size, rate and length of video i."""
        return self._facts[i]

    def times_s(self, i: int) -> NDArray[np.float64]:
        """Times of its frames as its rate and length imply."""
        facts = self._facts[i]
        return np.arange(max(1, round(facts.duration_s * facts.fps))) / facts.fps

    def read(self, i: int, times_s: NDArray[np.float64]) -> Shot:
        """The newest frame not after each time."""
        h, w = self._facts[i].size
        size = self._size or (max(8, round(h * self._scale)), max(8, round(w * self._scale)))
        read = decode_folder_at if self._paths[i].is_dir() else decode_at
        got = read(self._paths[i], times_s, size=size)
        return Shot(got.frames, got.times_s, None, got.source_size)
