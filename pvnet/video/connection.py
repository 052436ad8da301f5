"""One connection to a source that may keep silent, read by a thread of its own.

Reads of a socket or a camera cannot be interrupted from Python: neither Ctrl-C nor `close` would be
heard before they return. So they happen in a thread that may be left to itself, and whoever waits
for its pictures can stop waiting at any time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pvnet.video.frame import SourceInfo, SourceStats
from pvnet.video.reader import Picture, Reader, SourceGoneError

# Pictures that are read ahead; what is behind them waits where it came from.
_AHEAD = 1
# How long `close` waits for the thread to free the device; a read that hangs is not waited for.
_JOIN_S = 0.5


class Connection:
    """Opens a reader, reads its pictures ahead once `begin` was called, closes it.

    All of this happens in its own thread.

    Args:
        connect: opens the reader.
    """

    def __init__(self, connect: Callable[[], Reader]) -> None:
        self._connect = connect
        self._stats: SourceStats | None = None
        self._changed = threading.Condition()
        self._info: SourceInfo | None = None
        self.clocked = False  # the source has no time stamps: pictures get the time they came at
        self._waiting: deque[Picture] = deque()
        self._since = time.monotonic()  # since when the thread waits for the source
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pvnet-live", daemon=True)
        self._thread.start()

    def info(self, within_s: float | None) -> SourceInfo:
        """What is known of the video, once it is open.

        Raises:
            SourceGoneError: it does not answer, or `close` was called.
            PvnetError: as the reader raises.
        """
        with self._changed:
            self._wait(lambda: self._info is not None, within_s, "no answer")
            if self._info is not None:
                return self._info
        raise self._error or SourceGoneError("closed before it was open")

    def begin(self, stats: SourceStats) -> None:
        """Read pictures; what goes wrong is counted in `stats`."""
        with self._changed:
            self._stats, self._since = stats, time.monotonic()
            self._changed.notify_all()

    def next(self, within_s: float | None) -> Picture | None:
        """The next picture; None at the end, and after `close`.

        Raises:
            SourceGoneError: none came in time, or the connection broke.
        """
        with self._changed:
            self._wait(lambda: bool(self._waiting), within_s, "no picture")
            if self._waiting and not self._stopped:
                picture = self._waiting.popleft()
                self._changed.notify_all()
                return picture
            if self._error is not None and not self._stopped:
                raise self._error
            return None

    def close(self, *, wait: bool = True) -> None:
        """Stop reading; the thread closes the reader as soon as it can."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        if wait and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _wait(self, ready: Callable[[], bool], within_s: float | None, what: str) -> None:
        while not (ready() or self._ended or self._stopped):
            left = None if within_s is None else self._since + within_s - time.monotonic()
            if left is not None and left <= 0:
                raise SourceGoneError(f"{what} for {within_s:g} s")
            self._changed.wait(left)

    def _run(self) -> None:
        reader: Reader | None = None
        pictures: Any = None
        try:
            reader = self._connect()
            with self._changed:
                self.clocked = getattr(reader, "clocked", False)
                self._info = reader.info
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stats is not None or self._stopped)
            if self._stats is None:
                return
            pictures = reader.pictures(self._stats)
            whole = all(self._put(picture) for picture in pictures)
            if whole and hasattr(reader, "finish"):
                reader.finish(self._stats)
        except BaseException as error:
            self._error = error  # belongs to who reads
        finally:
            for open_one in (pictures, reader):
                with contextlib.suppress(Exception):
                    if open_one is not None:
                        open_one.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, picture: Picture) -> bool:
        if self.clocked:
            picture = replace(picture, time_s=time.monotonic())
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _AHEAD or self._stopped)
            if self._stopped:
                return False
            self._waiting.append(picture)
            self._since = time.monotonic()
            self._changed.notify_all()
            return True
