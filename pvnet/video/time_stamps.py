"""Time stamps as they should be: in the order of showing, strictly increasing, in one time line.

Containers hold stamps that are missing, come twice, run backwards, wrap around, belong to the order
of decoding, or jump by hours for one picture. A time line keeps what can be true to the bit, and
mends or reports the rest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pvnet.video.damage import BOTH_WAYS, REORDER, Sent
from pvnet.video.frame import SourceStats

USUAL_S = 1.0 / 25.0
GAP_S = 10.0  # a longer step is reported, and never filled or slept through to its end
_KEPT_S = 3600.0  # a longer step forward is no gap of the recording but another clock
_SUSPECT_S = 1.0
_USUAL_STEPS = 9
_AHEAD = 4
# Stamps of 33 bits (MPEG), of 32 bits (RTP) at 90 kHz, and of 32 bits in milliseconds (FLV).
_WRAPS_S = (2**33 / 90e3, 2**32 / 90e3, 2**32 / 1e3)


class ShownStamps:
    """Stamps of pictures in the order of showing, from those of packets in the order of decoding.

    A container without presentation stamps (AVI) gives each packet the time of its decoding. Such
    stamps increase from packet to packet, however the pictures are reordered: then the pictures
    have the same stamps, sorted.
    """

    def __init__(self) -> None:
        self._increasing, self._sorting = True, False
        self._last: int | None = None
        self._waiting: set[int] = set()  # packets, by decoding order, whose picture was not shown
        self._free: list[int] = []  # stamps that no picture has taken

    def sent(self, sent: Sent) -> None:
        """A packet goes into the decoder."""
        if sent.stamp is None or not (self._increasing or self._sorting):
            return
        if self._last is not None and sent.stamp <= self._last:
            self._increasing = False
        self._last = sent.stamp
        self._waiting.add(sent.order)
        self._free.append(sent.stamp)

    def lost(self, sent: Sent) -> None:
        """A packet gave no picture."""
        self._waiting.discard(sent.order)
        if sent.stamp in self._free:
            self._free.remove(sent.stamp)

    def shown(self, frame: Any, sent: Sent) -> int | None:
        """The stamp of the next picture shown, None if it is not known."""
        early = any(order < sent.order for order in self._waiting)
        if early and self._increasing and frame.pict_type == BOTH_WAYS:
            self._sorting = True
        self._waiting = {n for n in self._waiting if sent.order - REORDER <= n != sent.order}
        if self._sorting and self._free:
            stamp = min(self._free)
            self._free.remove(stamp)
            while len(self._free) > len(self._waiting):  # of packets that never gave a picture
                self._free.remove(min(self._free))
            return stamp
        if not self._increasing:
            self._free, self._waiting = [], set()
            return None if frame.pts is None else int(frame.pts)
        self.lost(sent)
        return sent.stamp if frame.pts is None else int(frame.pts)


class Stamped(Protocol):
    """A picture with a time stamp, None if it has none."""

    @property
    def time_s(self) -> float | None:
        """In seconds, as the container has it."""
        ...


P = TypeVar("P", bound=Stamped)


@dataclass(frozen=True, slots=True)
class Timed(Generic[P]):
    """A picture at its time.

    Attributes:
        picture: as it came.
        time_s: larger than that of the picture before.
        jump_s: by how much the stamps of the container jumped before it; 0.0 if they did not.
    """

    picture: P
    time_s: float
    jump_s: float = 0.0


class TimeLine(Generic[P]):
    """Gives the pictures of one pass times that increase; iterate once.

    A stamp is kept exactly if it is larger than the one before and by less than an hour. One that
    leaves the line while the next is on it again is replaced. What remains is a jump: the time goes
    on by one usual step, and comes back to the old line if the stamps do.

    Args:
        pictures: in the order of showing.
        usual_s: step between pictures until steps have been seen.
        stats: counts repairs and jumps.
        live: look ahead only where a stamp leaves the line.

    Attributes:
        usual_s: step between the last pictures, the median.
    """

    def __init__(
        self, pictures: Iterable[P], usual_s: float, stats: SourceStats, *, live: bool = False
    ) -> None:
        self._pictures = iter(pictures)
        self._ahead: deque[P] = deque()
        self.usual_s = usual_s
        self._steps: deque[float] = deque([usual_s], _USUAL_STEPS)
        self._stats, self._live = stats, live
        self._stamp = 0.0  # the last one that was believed
        self._time = 0.0  # of the last picture
        self._offset = 0.0  # from stamps to times
        self._earlier: deque[float] = deque(maxlen=2)  # offsets before the last jumps
        self._turns = 0.0  # seconds of all turns of a counter that wraps around

    @property
    def gap_s(self) -> float:
        """A step longer than this is a jump."""
        return max(GAP_S, 10 * self.usual_s)

    def __iter__(self) -> Iterator[Timed[P]]:
        first = self._next()
        if first is None:
            return
        yield Timed(first, self._begin(first.time_s))
        while (picture := self._next()) is not None:
            yield self._timed(picture)

    def _next(self) -> P | None:
        return self._ahead.popleft() if self._ahead else next(self._pictures, None)

    def _peek(self, k: int) -> P | None:
        while len(self._ahead) <= k:
            picture = next(self._pictures, None)
            if picture is None:
                return None
            self._ahead.append(picture)
        return self._ahead[k]

    def _begin(self, stamp: float | None) -> float:
        """The time of the first picture: its stamp, unless the next two agree on another."""
        if stamp is None:
            stamp = 0.0
            self._repaired(None, stamp)
        elif not self._live:
            one, two = (p if p is None else p.time_s for p in (self._peek(0), self._peek(1)))
            if one is None or two is None or not 0 < two - one <= self._suspect_s:
                pass  # they do not agree
            elif not -self._suspect_s <= one - stamp <= _KEPT_S:
                self._repaired(stamp, 2 * one - two)
                stamp = 2 * one - two
        self._stamp = self._time = stamp
        return stamp

    def _timed(self, picture: P) -> Timed[P]:
        if picture.time_s is None:
            return Timed(picture, self._mended(None))
        stamp = self._unwrapped(picture.time_s)
        step = stamp + self._offset - self._time
        if 0 < step <= self._suspect_s:
            return Timed(picture, self._kept(stamp))
        if -self._suspect_s <= step <= 0:
            return Timed(picture, self._mended(stamp))
        return self._off_the_line(picture, stamp, step)

    @property
    def _suspect_s(self) -> float:
        return max(_SUSPECT_S, 5 * self.usual_s)

    def _unwrapped(self, stamp: float) -> float:
        """The stamp as a counter with more bits would have it."""
        step = stamp + self._turns - self._stamp
        for turn in _WRAPS_S if abs(step) > _KEPT_S else ():
            if abs(abs(step) - turn) <= self._suspect_s:
                self._turns -= math.copysign(turn, step)
                self._repaired(stamp, stamp + self._turns + self._offset)
        return stamp + self._turns

    def _kept(self, stamp: float) -> float:
        time_s = stamp + self._offset
        if time_s - self._time <= self.gap_s:
            self._steps.append(time_s - self._time)
            self.usual_s = sorted(self._steps)[len(self._steps) // 2]
        self._stamp, self._time = stamp, time_s
        return time_s

    def _mended(self, stamp: float | None) -> float:
        """A time between the last one and the next stamp that can be true."""
        step, room = self.usual_s, self._room()
        if room is not None:
            step = min(step, room)
        elif stamp is not None:  # too many pictures for the stamps: let the stamps catch up
            lag = self._time - (stamp + self._offset)
            step /= 2 if lag < step else 16
        self._time += step
        self._stamp = self._stamp + step if stamp is None else stamp
        self._repaired(stamp, self._time)
        return self._time

    def _room(self) -> float | None:
        """The step that spreads this and further pictures evenly up to the next good stamp."""
        for k in range(0 if self._live else _AHEAD):
            later = self._peek(k)
            if later is None:
                return None
            if later.time_s is not None:
                ahead = later.time_s + self._turns + self._offset - self._time
                if 0 < ahead <= self.gap_s:
                    return ahead / (k + 2)
        return None

    def _off_the_line(self, picture: P, stamp: float, step: float) -> Timed[P]:
        later = self._peek(0)
        if later is not None and later.time_s is not None:
            ahead = later.time_s + self._turns + self._offset - self._time
            if 0 < ahead <= self.gap_s and (step < 0 or ahead < step):  # the next is on the line
                self._time += min(self.usual_s, ahead / 2)
                self._stamp = self._time - self._offset
                self._repaired(stamp, self._time)
                return Timed(picture, self._time)
        jump = stamp - self._stamp
        if 0 < step <= self.gap_s:
            return Timed(picture, self._kept(stamp))
        self._stats.time_jumps += 1
        self._stats.note(f"time stamps jump by {jump:+.3f} s at {self._time:.3f} s")
        for offset in self._earlier:
            if abs(stamp + offset - self._time) <= self._suspect_s:
                self._offset = offset
                on = stamp + offset > self._time
                return Timed(picture, self._kept(stamp) if on else self._mended(stamp), jump)
        if not 0 < step <= _KEPT_S:
            self._earlier.append(self._offset)
            self._offset = self._time + self.usual_s - stamp
        return Timed(picture, self._kept(stamp), jump)

    def _repaired(self, stamp: float | None, time_s: float) -> None:
        self._stats.time_repairs += 1
        self._stats.note(f"time stamp {stamp} replaced by {time_s:.6f} s")
