"""A source read by its own thread, as live video is: what happens when the consumer is slow.

Policies, for a queue of `capacity` frames:
* block: the reader waits for room; no frame is lost.
* drop_oldest: a new frame throws out the oldest waiting one.
* drop_newest: a new frame that finds the queue full is thrown away itself.
* latest: drop_oldest with room for one frame: the consumer gets the newest there is.
Every frame that was not thrown away is delivered, in order, also after the source's end. Without a
policy live sources have `latest` (with `block` they would lag more and more), all others `block`.

What waits is copied, unless the source is pvnet's own and gives every frame memory of its own.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Protocol, get_args

from pvnet.errors import InvalidArgumentError, StateError
from pvnet.video.frame import Frame, Gap
from pvnet.video.owned import Copies, owns_frames
from pvnet.video.time_stamps import GAP_S

Policy = Literal["latest", "block", "drop_oldest", "drop_newest"]
POLICIES: tuple[str, ...] = get_args(Policy)
DEFAULT_CAPACITY = 4
_JOIN_S = 1.0
# Buffers beside those that wait: one with the consumer, one that it has just let go, one to fill.
_SPARE_COPIES = 3


def default_policy(source: object) -> Policy:
    """What a source gets without a policy: `latest` if it is live, so that lag cannot grow.

    Args:
        source: live is what says so in `info.live`: cameras, live URLs and pipes.
    """
    return "latest" if getattr(getattr(source, "info", None), "live", False) else "block"


class Clock(Protocol):
    """Time for pacing; tests bring their own."""

    def now_ns(self) -> int:
        """Monotonic time."""
        ...

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Sleep, or return early when `stop` is set."""
        ...


class SystemClock:
    """`time.perf_counter_ns` and real sleeping."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""
        return time.perf_counter_ns()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Sleep, or return early when `stop` is set."""
        stop.wait(seconds)


@dataclass(slots=True)
class FeedStats:
    """Counts of a feed: frames read from the source, delivered to the consumer, dropped."""

    read: int = 0
    delivered: int = 0
    dropped: int = 0


class Feed:
    """Runs a source in a reader thread; iterate over it to take frames.

    One thread may consume. The thread starts with the first frame asked for or `start`, and ends
    with the source, or with `close` (also called at the end of a with statement).

    Args:
        source: a `Source` or anything that yields `Frame`s; `close` is called if it has one, and
            before it `interrupt`, from another thread, to end a read that waits. A source whose
            attribute `owned` is True promises never to change a frame that it gave away; the frames
            of all others are copied.
        policy: what happens when the consumer is slow, see above; None: `default_policy(source)`.
        capacity: frames that may wait (latest: always 1; others: 4 if not given).
        realtime: hand frames over at the pace of their time stamps (a file acts as a camera), with
            at most 10 s between two.
        clock: where time comes from.

    Attributes:
        owned: a frame that was delivered never changes.

    Raises:
        InvalidArgumentError: for an unknown policy or a capacity that does not fit it.
    """

    owned = True

    def __init__(
        self,
        source: Iterable[Frame],
        policy: Policy | None = None,
        *,
        capacity: int | None = None,
        realtime: bool = False,
        clock: Clock | None = None,
    ) -> None:
        policy = default_policy(source) if policy is None else policy
        if policy not in POLICIES:
            raise InvalidArgumentError(
                f"[video.Feed] policy: got {policy!r}, expected {', '.join(POLICIES)}. "
                "Supported values are these."
            )
        room = (1 if policy == "latest" else DEFAULT_CAPACITY) if capacity is None else capacity
        if room < 1 or (policy == "latest" and room != 1):
            raise InvalidArgumentError(
                f"[video.Feed] capacity of policy {policy}: got {room}, expected "
                f"{'1' if policy == 'latest' else 'at least 1'}. "
                "Use drop_oldest for a longer queue."
            )
        self.policy, self.capacity, self.realtime = policy, room, realtime
        self._source = source
        self._copies = None if owns_frames(source) else Copies(room + _SPARE_COPIES)
        self._gap: Gap | None = None  # before a frame that was thrown away: the next one tells
        self._clock: Clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._queue: deque[Frame] = deque()
        self._ended = False
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._stats = FeedStats()
        self._thread: threading.Thread | None = None
        self._life = threading.Lock()  # start and close may come from different threads
        self._process = os.getpid()

    @property
    def stats(self) -> FeedStats:
        """A consistent copy of the counts; read = delivered + dropped + waiting."""
        with self._changed:
            return replace(self._stats)

    def start(self) -> None:
        """Start reading; does nothing if it has started.

        Raises:
            StateError: after `close`.
        """
        if not self._begin():
            raise StateError(
                "[video.Feed] start: got a closed feed, expected an open one. Make a new Feed."
            )

    def _begin(self) -> bool:
        """Start the thread if it has not started; False after `close`."""
        self._expect_own_process()
        with self._life:
            if self._stop.is_set():
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="pvnet-feed", daemon=True)
                self._thread.start()
            return True

    def _expect_own_process(self) -> None:
        # Before any lock is taken: the parent's reader may have held it when the process forked.
        if os.getpid() != self._process:
            raise StateError(
                "[video.Feed] this process was forked after the feed was made: got a copy without "
                "its reader thread, expected the feed's own process. Make a new Feed here, of a "
                "source that is opened here."
            )

    def __enter__(self) -> Feed:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        frame = self._take(None)
        if frame is None:
            raise StopIteration
        return frame

    def get(self, *, timeout_s: float) -> Frame:
        """The next frame.

        Args:
            timeout_s: how long to wait for it.

        Raises:
            StateError: if none came in time, or the source has ended.
        """
        frame = self._take(timeout_s)
        if frame is None:
            raise StateError(
                f"[video.Feed] get: got no frame within {timeout_s:g} s or the end of the source, "
                "expected a frame. Wait longer, or iterate over the feed to see its end."
            )
        return frame

    def _take(self, timeout_s: float | None) -> Frame | None:
        if not self._begin():
            return None
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._queue) or self._ended or self._stop.is_set(), timeout_s
            )
            if self._stop.is_set():
                return None
            if self._queue:
                frame = self._queue.popleft()
                self._stats.delivered += 1
                self._changed.notify_all()
                return frame
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        """Stop reading and close the source; frames that wait are given up; may be called twice.

        Does nothing in a forked process: reader and source are the parent's.
        """
        if os.getpid() != self._process:
            return
        with self._life:
            self._stop.set()
            thread = self._thread
        with self._changed:
            self._changed.notify_all()
        interrupt = getattr(self._source, "interrupt", None)
        if interrupt is not None:
            interrupt()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)
            if thread.is_alive():  # inside a read that cannot be interrupted; it is a daemon
                return
        closing = getattr(self._source, "close", None)
        if closing is not None:
            closing()

    def _read(self) -> None:
        try:
            start_ns, first_s = 0, 0.0
            for k, frame in enumerate(self._source):
                if self._stop.is_set():
                    break
                if self.realtime:
                    now = self._clock.now_ns()
                    if k == 0:
                        start_ns, first_s = now, frame.time_s
                    ahead = (frame.time_s - first_s) - (now - start_ns) * 1e-9
                    if ahead > GAP_S:  # a gap is not slept through to its end
                        first_s, ahead = first_s + ahead - GAP_S, GAP_S
                    if ahead > 0:
                        self._clock.wait(ahead, self._stop)
                if not self._put(_stamped(frame, self._clock.now_ns())):
                    break
        except BaseException as error:
            # Whatever stopped the reader belongs to the consumer.
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Queue a frame by the policy; False when the feed was closed."""
        with self._changed:
            if self.policy == "block":
                self._changed.wait_for(
                    lambda: len(self._queue) < self.capacity or self._stop.is_set()
                )
            if self._stop.is_set():
                return False
            if self.policy == "drop_newest" and len(self._queue) >= self.capacity:
                self._stats.read += 1
                self._stats.dropped += 1
                self._gap = Gap.joined(self._gap, getattr(frame, "gap", None))
                return True
        if self._copies is not None:  # the consumer need not wait for the copy
            frame = self._copies.frame(frame)
        with self._changed:
            if self._stop.is_set():
                return False
            self._stats.read += 1
            gap, self._gap = self._gap, None
            self._queue.append(_with_gap(frame, gap))
            if len(self._queue) > self.capacity:
                self._stats.dropped += 1
                gap = getattr(self._queue.popleft(), "gap", None)
                self._queue[0] = _with_gap(self._queue[0], gap)
            self._changed.notify_all()
            return True


def _with_gap(frame: Frame, gap: Gap | None) -> Frame:
    """The frame behind one that was thrown away: it tells of that one's gap."""
    if gap is None or not isinstance(frame, Frame):
        return frame
    return replace(frame, gap=Gap.joined(gap, frame.gap))


def _stamped(frame: Frame, now_ns: int) -> Frame:
    """The frame with the time it came at, if it has a field for it."""
    return replace(frame, capture_ns=now_ns) if isinstance(frame, Frame) else frame
