"""Work on a thread of its own, in order, at most a few items behind."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Items that may wait: enough that nobody waits for an uneven one, few enough for large pictures.
_ROOM = 2


class Beside(Generic[T]):
    """Does something with every item that is put, one after the other, on a thread of its own.

    What it raises is raised once, by the next `put` or by `finish`; what waited is then given up.
    The thread ends with `finish`, or with the process.

    Args:
        work: takes an item.
        name: of the thread.
        room: items that may wait; with more, `put` waits.
    """

    def __init__(self, work: Callable[[T], None], name: str, *, room: int = _ROOM) -> None:
        self._work, self._room = work, room
        self._queue: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._failed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand an item over; waits while there is no room.

        Raises:
            BaseException: what the work on an earlier item raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) < self._room or self._failed)
            if not self._failed:
                self._queue.append(item)
            self._changed.notify_all()
        self._tell()

    def finish(self) -> None:
        """Wait until all is done; may be called twice.

        Raises:
            BaseException: as `put`.
        """
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()
        self._tell()

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: bool(self._queue) or self._ended)
                    if not self._queue:
                        return
                    item = self._queue.popleft()
                    self._changed.notify_all()
                self._work(item)
                del item  # a picture must not wait for the next one
        except BaseException as error:
            # Whatever stopped the work belongs to who gives it.
            with self._changed:
                self._error, self._failed = error, True
                self._queue.clear()
                self._changed.notify_all()
