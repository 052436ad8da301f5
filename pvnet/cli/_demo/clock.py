"""One clock for two networks: when frames arrive, when results exist, what is on show when.

Times are seconds from the arrival of frame 0; frame i arrives at i / rate. Nothing here measures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SLACK_S = 1e-9  # a frame that arrives as a result is done is there in time


@dataclass(frozen=True)
class Result:
    """What a network made of a frame it took.

    Attributes:
        frame: index of the frame.
        begin_s: when the frame was taken.
        end_s: when the result exists.
    """

    frame: int
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Moment:
    """A point in time at which a picture is shown.

    Attributes:
        now_s: the time.
        frame: index of the newest frame there is.
    """

    now_s: float
    frame: int


def live(n_frames: int, rate_hz: float, work: Callable[[int], float]) -> list[Result]:
    """Let a network take the newest frame whenever it is free, and miss what it had no time for.

    Args:
        n_frames: frames of the video.
        rate_hz: at which they arrive.
        work: takes a frame by its index and returns the seconds it needed.

    Returns:
        The results in order; begin and end do not overlap.
    """
    arrivals = [i / rate_hz for i in range(n_frames)]
    results: list[Result] = []
    now_s, last = 0.0, -1
    while True:
        newest = bisect_right(arrivals, now_s + _SLACK_S) - 1
        frame = max(newest, last + 1)  # nothing new yet: wait for the next
        if frame >= n_frames:
            return results
        begin_s = max(now_s, arrivals[frame])
        now_s, last = begin_s + work(frame), frame
        results.append(Result(frame, begin_s, now_s))


def moments(n_frames: int, rate_hz: float, per_frame: int) -> list[Moment]:
    """Evenly spaced moments, in the middle of their intervals: a mean over them is one over time.

    Args:
        n_frames: frames of the video.
        rate_hz: at which they arrive.
        per_frame: moments between two frames.
    """
    return [
        Moment((i + (k + 0.5) / per_frame) / rate_hz, i)
        for i in range(n_frames)
        for k in range(per_frame)
    ]


def on_show(results: Sequence[Result], moment: Moment) -> int | None:
    """Index of the newest result that exists at a moment; None: there is none yet."""
    index = bisect_right(results, moment.now_s, key=lambda result: result.end_s) - 1
    return index if index >= 0 else None
