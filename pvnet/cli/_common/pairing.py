"""Which answer is drawn on which frame: on the newest one, or on the one that it has heard of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pvnet.runtime import Tick
from pvnet.video import Frame

Drawn = Literal["live", "aligned"]
DRAWN: tuple[Drawn, ...] = ("live", "aligned")


@dataclass(frozen=True)
class Pair:
    """A frame and the answer that is drawn on it.

    Attributes:
        frame: of the video.
        tick: whose answer it is; None: the video ended before there was one.
        later: ticks between the two.
    """

    frame: Frame
    tick: Tick | None
    later: int


class Pairing:
    """Every frame leaves once, in order.

    live: with the tick that took it, at once. The answer may be about an older frame.
    aligned: with the first tick whose answer has heard of it, by the smallest age of its stages.
    So the video is that many ticks behind, and pictures of so many frames wait.

    Args:
        how: "live" or "aligned".
    """

    def __init__(self, how: Drawn) -> None:
        self._aligned = how == "aligned"
        self._waiting: deque[tuple[int, Frame]] = deque()  # by the tick that took it

    def add(self, tick: Tick) -> Iterator[Pair]:
        """What can be drawn when a tick is there."""
        if not self._aligned:
            yield Pair(tick.frame, tick, 0)
            return
        now = int(tick.tick[0])
        if self._waiting and now <= self._waiting[-1][0]:  # a stream that began anew
            yield from self.rest()
        self._waiting.append((now, tick.frame))
        age = newest_age(tick)
        while age is not None and self._waiting and self._waiting[0][0] <= now - age:
            taken, frame = self._waiting.popleft()
            yield Pair(frame, tick, now - taken)

    def rest(self) -> Iterator[Pair]:
        """The frames that no answer has heard of."""
        while self._waiting:
            yield Pair(self._waiting.popleft()[1], None, 0)


def newest_age(tick: Tick) -> int | None:
    """Ticks since the newest frame that the answer has heard of; None: of none yet."""
    known = [int(age[0]) for age in tick.age.values() if int(age[0]) >= 0]
    return min(known, default=None)
