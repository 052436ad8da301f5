"""Pictures on a grid of times."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pvnet.video.reader import Picture
from pvnet.video.time_stamps import Timed, TimeLine

_SLACK = 1e-6


def resampled(
    timed: Iterator[Timed[Picture]], line: TimeLine[Picture], fps: float, *, drop_only: bool
) -> Iterator[Timed[Picture]]:
    """At grid times the latest picture not after them.

    A picture is repeated for `line.gap_s` at most; after a longer gap the grid begins anew at the
    next picture.

    Args:
        timed: pictures with increasing times.
        line: that gave them their times.
        fps: of the grid.
        drop_only: pictures are only left out, and keep their own times (live video).
    """
    held: Picture | None = None
    start, k, shown_at, jump = 0.0, 0, 0.0, 0.0
    for item in timed:
        jump += item.jump_s
        if drop_only:
            start = item.time_s if held is None else start
            held = item.picture
            if item.time_s + _SLACK >= start + k / fps:
                k = math.floor((item.time_s - start) * fps + _SLACK) + 1
                yield Timed(item.picture, item.time_s, jump)
                jump = 0.0
            continue
        if held is None:
            start = item.time_s
        else:
            # The jump belongs to this picture, not to the repeats of the one before.
            before, jump = jump - item.jump_s, item.jump_s
            until = min(item.time_s, shown_at + line.gap_s)
            while start + k / fps < until - _SLACK:
                yield Timed(held, start + k / fps, before)
                k, before = k + 1, 0.0
            jump += before
            if until < item.time_s:
                start, k = item.time_s, 0
        held, shown_at = item.picture, item.time_s
    end = shown_at + held_s(held, line)
    while held is not None and not drop_only and start + k / fps < end - _SLACK:
        yield Timed(held, start + k / fps, jump)
        k, jump = k + 1, 0.0


def held_s(last: Picture | None, line: TimeLine[Picture]) -> float:
    """How long the last picture is on show: its own duration, else the usual step."""
    known = None if last is None else last.duration_s
    return known if known is not None and 0 < known <= line.gap_s else line.usual_s
