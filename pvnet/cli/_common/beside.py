"""Work on a thread of its own, in order, at most a few items behind."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Items that may wait: enough that nobody waits for an uneven one, few enough for large pictures.
_ROOM = 2
# The ticks come first where there are fewer CPUs than threads.
_NICE = 5
_END: Any = object()


class Beside(Generic[T]):
    """Does something with every item that is put, one after the other, on a thread of its own.

    What it raises is raised once, by the next `put` or by `finish`; what waited is then given up.
    The thread ends with `finish`, or with the process. On Linux the system prefers others to it.

    Args:
        work: takes an item.
        name: of the thread.
        room: items that may wait; with more, `put` waits.
    """

    def __init__(self, work: Callable[[T], None], name: str, *, room: int = _ROOM) -> None:
        self._work = work
        # A place is taken with every item and given back when work on it begins.
        self._places: SimpleQueue[None] = SimpleQueue()
        self._queue: SimpleQueue[T] = SimpleQueue()
        for _ in range(room):
            self._places.put(None)
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand an item over; waits while there is no room.

        Raises:
            BaseException: what the work on an earlier item raised.
        """
        self._places.get()
        self._queue.put(item)
        self._tell()

    def finish(self) -> None:
        """Wait until all is done; may be called twice.

        Raises:
            BaseException: as `put`.
        """
        if not self._ended:
            self._ended = True
            self._queue.put(_END)
        self._thread.join()
        self._tell()

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        _yield_to_others()
        work: Callable[[T], None] | None = self._work
        while (item := self._queue.get()) is not _END:
            self._places.put(None)
            if work is None:
                continue
            try:
                work(item)
            except BaseException as error:
                # Whatever stopped the work belongs to who gives it.
                self._error, work = error, None
            del item  # a picture must not wait for the next one


def _yield_to_others() -> None:
    """Lower the priority of the calling thread; elsewhere than on Linux it is the process's."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            here = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, here, os.getpriority(os.PRIO_PROCESS, here) + _NICE)
