from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from pvnet import video
from pvnet.errors import FileError, InvalidArgumentError, StateError

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import refused

pytestmark = pytest.mark.timeout(60)
WAIT = 20.0


def frame(k: int) -> video.Frame:
    return video.Frame(np.zeros((2, 2, 3), np.uint8), k, k / 10, "made")


class Made:
    """n frames; `asked` counts how many the reader asked for; may fail at the end."""

    def __init__(self, n, *, error=None):
        self.n, self.error, self.closed = n, error, 0
        self.done = threading.Event()

    def __iter__(self):
        for k in range(self.n):
            yield frame(k)
        self.done.set()
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed += 1


class FakeClock:
    """Time passes only by waiting."""

    def __init__(self):
        self.ns, self.waits = 1_000, []

    def now_ns(self):
        return self.ns

    def wait(self, seconds, stop):
        self.waits.append(seconds)
        self.ns += round(seconds * 1e9)


def test_block_loses_nothing():
    source = Made(200)
    with video.Feed(source, "block", capacity=2) as feed:
        got = [f.index for f in feed]
    assert got == list(range(200))
    assert (feed.stats.read, feed.stats.delivered, feed.stats.dropped) == (200, 200, 0)
    assert source.closed == 1


@pytest.mark.parametrize(
    ("policy", "capacity", "expected"),
    [
        ("latest", None, [9]),
        ("drop_oldest", 3, [7, 8, 9]),
        ("drop_newest", 3, [0, 1, 2]),
        ("drop_oldest", 20, list(range(10))),
    ],
)
def test_who_is_dropped_when_the_consumer_sleeps(policy, capacity, expected):
    source = Made(10)
    with video.Feed(source, policy, capacity=capacity) as feed:
        assert source.done.wait(WAIT)  # all were offered before the first is taken
        got = [f.index for f in feed]
    assert got == expected
    assert feed.stats.dropped == 10 - len(expected)
    assert feed.stats.read == 10


def test_block_reader_waits_for_room():
    source = Made(10)
    with video.Feed(source, "block", capacity=3) as feed:
        assert not source.done.wait(0.2)
        assert feed.stats.read <= 3
        assert [f.index for f in feed] == list(range(10))


def test_realtime_follows_the_time_stamps():
    clock = FakeClock()
    feed = video.Feed(Made(5), "block", capacity=10, realtime=True, clock=clock)
    with feed:
        got = list(feed)
    assert np.allclose(clock.waits, [0.1] * 4)
    assert np.allclose(np.diff([f.capture_ns for f in got]), 1e8)
    assert [f.time_s for f in got] == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_without_realtime_nothing_waits():
    clock = FakeClock()
    with video.Feed(Made(5), "block", clock=clock) as feed:
        assert all(f.capture_ns == 1_000 for f in feed)
    assert clock.waits == []


@pytest.mark.parametrize("policy", ["block", "latest"])
def test_error_of_the_reader_reaches_the_consumer_after_its_frames(policy):
    source = Made(1, error=FileError("[x] y: got a, expected b. Do c."))
    with video.Feed(source, policy) as feed:
        assert next(feed).index == 0
        for _ in range(2):
            with pytest.raises(FileError):
                next(feed)


@pytest.mark.parametrize("policy", video.POLICIES)
def test_closing_early_ends_the_thread(policy):
    def endless():
        k = 0
        while True:
            yield frame(k)
            k += 1

    feed = video.Feed(endless(), policy)
    next(feed)
    feed.close()
    feed.close()
    assert not any(t.name == "pvnet-feed" and t.is_alive() for t in threading.enumerate())
    assert list(feed) == []
    refused(StateError, feed.start)


def test_closing_wakes_a_waiting_consumer():
    gate = threading.Event()

    def stuck():
        gate.wait(WAIT)
        yield frame(0)

    feed = video.Feed(stuck(), "latest")
    got = []
    consumer = threading.Thread(target=lambda: got.extend(feed))
    consumer.start()
    closer = threading.Thread(target=feed.close)
    closer.start()
    consumer.join(WAIT)
    assert not consumer.is_alive()
    gate.set()
    closer.join(WAIT)
    assert not closer.is_alive()
    assert got == []


def test_closing_interrupts_pacing():
    far = [frame(0), video.Frame(np.zeros((2, 2, 3), np.uint8), 1, 1e6, "made")]
    with video.Feed(far, "latest", realtime=True) as feed:
        assert next(feed).index == 0
    assert not any(t.name == "pvnet-feed" and t.is_alive() for t in threading.enumerate())


def test_get_with_a_limit():
    gate = threading.Event()

    def late():
        gate.wait(WAIT)
        yield frame(0)

    with video.Feed(late(), "latest") as feed:
        refused(StateError, feed.get, timeout_s=0.01)
        gate.set()
        assert feed.get(timeout_s=WAIT).index == 0


def test_bad_policies_and_capacities_are_refused():
    refused(InvalidArgumentError, video.Feed, [], "newest")
    refused(InvalidArgumentError, video.Feed, [], "latest", capacity=2)
    refused(InvalidArgumentError, video.Feed, [], "block", capacity=0)


def test_synthetic_source_keeps_its_truth():
    with video.open("synthetic:frames=6,size=32x48") as source, video.Feed(source, "block") as feed:
        frames = list(feed)
    assert len(frames) == 6
    assert frames[0].joints.shape == (13, 2)
    assert frames[0].capture_ns > 0


def test_a_feed_promises_that_delivered_frames_stay_as_they_are():
    from pvnet.video.owned import owns_frames

    buffer = np.zeros((2, 2, 3), np.uint8)

    def again():
        for value in range(6):
            buffer[:] = value
            yield video.Frame(buffer, value, value / 25, "one buffer")

    with video.Feed(again(), "block") as feed:
        assert owns_frames(feed)
        kept = [frame.image for frame in feed]
    assert [int(image[0, 0, 0]) for image in kept] == list(range(6))
