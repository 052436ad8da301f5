"""What a video source yields: frames, what is known of the video, and what went wrong in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pvnet.video.mapping import Mapping
from pvnet.video.planes import Planes

MAX_LISTED_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Gap:
    """What a live source lost before a frame: it was gone and came back.

    Attributes:
        seconds: between the last picture before and the first one after.
        frames: that would have come in this time at the usual pace; 0 if that is not known.
        reconnects: how often it came back (more than once where frames between were left out).
        reason: why it was gone the last time, in a line.
    """

    seconds: float
    frames: int
    reconnects: int
    reason: str

    @staticmethod
    def joined(first: Gap | None, second: Gap | None) -> Gap | None:
        """Two gaps told by one frame; None is none."""
        if first is None or second is None:
            return first or second
        return Gap(
            first.seconds + second.seconds,
            first.frames + second.frames,
            first.reconnects + second.reconnects,
            second.reason,
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a video.

    Attributes:
        image: uint8 [h, w, 3] RGB, contiguous.
        index: position among the frames the source yielded, from 0; gaps show dropped frames.
        time_s: time stamp of the container (or of the clock of a camera) where that can be true;
            strictly increasing always.
        source: name of the source.
        mapping: how points of `image` map to points of the original picture.
        capture_ns: `perf_counter_ns` at which a `Feed` received the frame; 0 without one.
        original: uint8 [h0, w0, 3], the picture before resizing, if the source keeps it.
        gap: what a live source lost just before this frame; None: nothing.
        damaged: the picture was decoded from damaged data, or predicted from one that was.
        jump_s: by how much the container's time stamps jumped just before it, in seconds; 0.0 if
            they did not. Forward jumps of less than an hour are in `time_s` too.
        planes: the picture before resizing as the decoder gave it, in place of `original`, if the
            source keeps that.
    """

    image: NDArray[np.uint8]
    index: int
    time_s: float
    source: str
    mapping: Mapping | None = None
    capture_ns: int = 0
    original: NDArray[np.uint8] | None = None
    gap: Gap | None = None
    damaged: bool = False
    jump_s: float = 0.0
    planes: Planes | None = None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a video before it is read.

    Attributes:
        width: pixels of the original picture as it is shown: turned upright, with square pixels.
        height: pixels of the original picture as it is shown.
        fps: frames per second of the original (0.0 if unknown).
        n_frames: number of frames by the container's word, None if it does not say.
        duration_s: length in seconds, None if unknown or endless.
        live: whether frames come at their own pace and without an end (camera, live URL, pipe).
        coded_size: (h, w) of the first picture as it is coded, None if there is no coded picture.
        sample_aspect_ratio: width of a coded sample over its height.
        orientation: how coded pictures are turned, 1 (upright) to 8, as in EXIF.
    """

    width: int
    height: int
    fps: float
    n_frames: int | None
    duration_s: float | None
    live: bool = False
    coded_size: tuple[int, int] | None = None
    sample_aspect_ratio: float = 1.0
    orientation: int = 1


@dataclass(slots=True)
class SourceStats:
    """Counts kept while reading.

    Attributes:
        frames: frames yielded.
        corrupt: pieces of data that could not be decoded and were left out.
        size_changes: how often the picture size changed inside the stream.
        time_repairs: time stamps that were missing or did not increase, and were replaced.
        begin_s: time of the first frame, None before it.
        last_s: time of the last frame yielded, None before the first.
        reconnects: how often a live source was lost and came back.
        gap_s: seconds that these gaps lasted, together.
        gap_frames: frames that would have come in them.
        truncated: why a video with an end is known to have ended before it; None: it is not.
        damaged: pictures that show damage; delivered as `Frame.damaged` says, or left out.
        time_jumps: how often the time stamps jumped, by more than a gap or to another clock.
        problems: one line each, the first 100.
    """

    frames: int = 0
    corrupt: int = 0
    size_changes: int = 0
    time_repairs: int = 0
    begin_s: float | None = None
    last_s: float | None = None
    reconnects: int = 0
    gap_s: float = 0.0
    gap_frames: int = 0
    truncated: str | None = None
    problems: list[str] = field(default_factory=list)
    damaged: int = 0
    time_jumps: int = 0

    def add(self, other: SourceStats) -> None:
        """Add the counts of another."""
        self.frames += other.frames
        self.corrupt += other.corrupt
        self.size_changes += other.size_changes
        self.time_repairs += other.time_repairs
        self.damaged += other.damaged
        self.time_jumps += other.time_jumps
        for problem in other.problems:
            self.note(problem)

    def seen(self, time_s: float) -> None:
        """Count a frame that is about to be yielded."""
        self.frames += 1
        self.begin_s = time_s if self.begin_s is None else self.begin_s
        self.last_s = time_s

    def note(self, problem: str) -> None:
        """Append a line to `problems`, up to its limit."""
        if len(self.problems) < MAX_LISTED_PROBLEMS:
            self.problems.append(problem)
