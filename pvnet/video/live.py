"""Sources that may go away: cameras and URLs, watched, and connected again when they are lost."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pvnet.errors import InvalidArgumentError, SourceLostError
from pvnet.video.connection import Connection
from pvnet.video.frame import Gap, SourceStats
from pvnet.video.reader import Picture, Reader, SourceGoneError

_LOG = logging.getLogger("pvnet.video")
# What a lost source raises; anything else is a mistake and reaches the caller as it is.
_LOSSES = (SourceGoneError, OSError, EOFError)
# FFmpeg's own words about an address that does not answer are better than ours.
_GRACE_S = 0.5
_WINDOW = 64  # pictures whose pace is the usual one


@dataclass(frozen=True, slots=True)
class Reconnect:
    """How a lost live source is looked for.

    Attributes:
        first_s: seconds until the first try; each later one waits twice as long as the one before.
        most_s: but never longer than this.
        attempts: tries without a picture after which it is given up; None: any number.
        give_up_s: seconds without a picture after which it is given up; None: never.
    """

    first_s: float = 0.5
    most_s: float = 10.0
    attempts: int | None = None
    give_up_s: float | None = 300.0

    def __post_init__(self) -> None:
        times = [self.first_s, self.most_s, *([] if self.give_up_s is None else [self.give_up_s])]
        if not all(math.isfinite(t) and t >= 0 for t in times) or (self.attempts or 0) < 0:
            raise InvalidArgumentError(
                f"[video.Reconnect] times and attempts: got {self}, expected numbers of at least "
                "0, and None for no bound. Change them."
            )

    def wait_s(self, failed: int) -> float:
        """How long to wait after so many tries without a picture."""
        return min(self.most_s, self.first_s * 2.0 ** min(failed, 60))


@dataclass
class _Outage:
    """A source is gone, by `monotonic`.

    Attributes:
        seen_s: when its last picture was given out.
        lost_s: when it was found to be gone.
        reason: why.
        failed: tries without a picture.
    """

    seen_s: float
    lost_s: float
    reason: str
    failed: int = 0


class LiveReader:
    """Reads a source through connections of their own threads.

    Waiting for a picture ends with Ctrl-C, with `interrupt` from another thread, and after a time.
    A live source that is lost is connected again; the first picture after that has a gap before it.
    Its time stamp goes on by the clock of this machine.

    Args:
        connect: opens the source; gets the (h, w) of its pictures, None before the first one.
        name: of the source, for messages.
        open_s: how long opening may take; None: as long as it takes.
        read_s: how long a picture may take; None: as long as it takes.
        reconnect: whether and how to connect again if it is live; None: as `Reconnect()` says.

    Raises:
        SourceLostError: it does not answer.
        PvnetError: as `connect` raises.
    """

    def __init__(
        self,
        connect: Callable[[tuple[int, int] | None], Reader],
        name: str,
        *,
        open_s: float | None,
        read_s: float | None,
        reconnect: Reconnect | bool | None = None,
    ) -> None:
        self._connect = connect
        self._name = _shown(name)
        self._open_s = None if open_s is None else open_s + _GRACE_S
        self._read_s = None if read_s is None else read_s + _GRACE_S
        self._stop = threading.Event()
        self._size: tuple[int, int] | None = None
        self._outage: _Outage | None = None
        self._gap: Gap | None = None
        self._seen_s = 0.0  # when the newest picture came, by the clock of this machine
        self._time_s: float | None = None  # its time stamp
        self._offset_s = 0.0  # of time stamps since the newest connection
        self._times: deque[float] = deque(maxlen=_WINDOW)  # newest stamps of this connection
        self._clocked = False  # time stamps are those of this machine's clock
        self._stats = SourceStats()  # of the pass
        self._connection: Connection | None = Connection(lambda: connect(None))
        try:
            self.info = self._connection.info(self._open_s)
        except SourceGoneError as error:
            self.close()
            raise SourceLostError(
                f"[video.open] {self._name!r} cannot be opened: got {error}, expected a video. "
                "Check that it is there and sends, or give it more time (timeout_s)."
            ) from error
        except BaseException:  # Ctrl-C too
            self.close()
            raise
        asked = Reconnect() if reconnect is None or reconnect is True else reconnect
        self._reconnect = asked if self.info.live and isinstance(asked, Reconnect) else None
        self._clocked = self._connection.clocked

    @property
    def owned(self) -> bool:
        """Every picture has memory of its own: it waits between two threads."""
        return True

    def take_gap(self) -> Gap | None:
        """What was lost before the newest picture; only the first to ask is told."""
        gap, self._gap = self._gap, None
        return gap

    def interrupt(self) -> None:
        """End the pass that another thread is reading, at once."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.close(wait=False)

    def close(self) -> None:
        """Leave the source; may be called twice."""
        self._stop.set()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def pictures(self, stats: SourceStats) -> Iterator[Picture]:
        """One pass: to the end of a video, or until a live source is gone for good.

        Raises:
            SourceLostError: it is gone.
        """
        self._stats = stats
        if self._connection is not None:
            self._connection.begin(stats)
        while not self._stop.is_set():
            picture, reason = self._next()
            if picture is not None:
                yield self._placed(picture)
            elif self._stop.is_set() or not self._lost(reason):
                return

    def _next(self) -> tuple[Picture | None, str | None]:
        """The next picture; without one, why there is none (None: the source has ended)."""
        try:
            connection = self._connection
            if connection is None:
                size, connect = self._size, self._connect
                connection = self._connection = Connection(lambda: connect(size))
                if self._stop.is_set():  # `interrupt` came before it could see the connection
                    connection.close(wait=False)
                connection.info(self._open_s)
                connection.begin(self._stats)
            return connection.next(self._read_s), None
        except _LOSSES as error:
            return None, _line(error)

    def _placed(self, picture: Picture) -> Picture:
        """A picture; of a live source with its time on the one time line of all connections."""
        self._size = picture.image.shape[:2]
        if not self.info.live:
            return picture
        now_s, outage, given_s = time.monotonic(), self._outage, picture.time_s
        before_s, usual_s = self._time_s, self._usual_s()
        least_s = 0.0 if before_s is None else before_s + usual_s
        if outage is not None:
            self._outage = None
            gone_s = now_s - outage.seen_s
            self._back(outage, gone_s)
            least_s = (before_s or 0.0) + gone_s
            self._offset_s = least_s - (given_s or 0.0)
        if given_s is None:  # RTSP: not known before the first report of the sender
            self._time_s = least_s
            self._stats.time_repairs += 1
        else:
            if not self._times:  # the first stamp of a connection
                if self._clocked and before_s is None:
                    self._offset_s = -given_s
                if before_s is not None and given_s + self._offset_s < least_s:
                    self._offset_s = least_s - given_s
            self._time_s = given_s + self._offset_s
            self._times.append(self._time_s)
        self._seen_s = now_s
        return replace(picture, time_s=self._time_s)

    def _usual_s(self) -> float:
        """Between two pictures; 0 if that is not known."""
        span_s = self._times[-1] - self._times[0] if self._times else 0.0
        if span_s > 0:
            return span_s / (len(self._times) - 1)
        return 1.0 / self.info.fps if self.info.fps > 0 else 0.0

    def _back(self, outage: _Outage, seconds: float) -> None:
        usual_s = self._usual_s()
        frames = max(0, round(seconds / usual_s) - 1) if usual_s > 0 else 0
        self._times.clear()
        self._gap = Gap.joined(self._gap, Gap(seconds, frames, 1, outage.reason))
        self._stats.reconnects += 1
        self._stats.gap_s += seconds
        self._stats.gap_frames += frames
        self._stats.note(f"gap of {seconds:.1f} s: {outage.reason}")
        _LOG.warning("%s is back after %.1f s", self._name, seconds)

    def _lost(self, reason: str | None) -> bool:
        """Leave a connection that gave its last picture; True: there may be another one.

        Raises:
            SourceLostError: it is gone.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if not self.info.live:
            if reason is not None:
                self._stats.truncated = reason
            return False
        if self._reconnect is None:
            if reason is None:
                return False
            raise self._gone(reason, "not connected again")
        now_s = time.monotonic()
        if self._outage is None:
            self._outage = _Outage(self._seen_s or now_s, now_s, reason or "it ended")
            _LOG.warning("%s is lost (%s); trying again", self._name, self._outage.reason)
        else:
            self._outage.failed += 1
        return self._wait(self._outage, self._reconnect, now_s)

    def _wait(self, outage: _Outage, how: Reconnect, now_s: float) -> bool:
        gone_s = now_s - outage.lost_s
        late = how.give_up_s is not None and gone_s >= how.give_up_s
        if late or (how.attempts is not None and outage.failed >= how.attempts):
            raise self._gone(outage.reason, f"{outage.failed} tries in {gone_s:.1f} s")
        wait_s = how.wait_s(outage.failed)
        if how.give_up_s is not None:
            wait_s = min(wait_s, how.give_up_s - gone_s)
        return not self._stop.wait(wait_s)

    def _gone(self, reason: str, tried: str) -> SourceLostError:
        return SourceLostError(
            f"[video] the live source {self._name!r} is lost: got {reason} ({tried}), expected "
            "pictures. Check the camera and the network, or give it longer to come back."
        )


def _line(error: BaseException) -> str:
    """Why a source was lost, in a line."""
    return _shown((str(error).splitlines() or [type(error).__name__])[0])


def _shown(text: str) -> str:
    """Without the name and password that a URL may have: logs and reports are passed on."""
    return re.sub(r"://[^/@\s']*@", "://***@", text)
