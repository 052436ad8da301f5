"""The watch over live sources with readers made for it: cameras unplugged, hanging, coming back."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import pvnet
from pvnet import video
from pvnet.errors import InvalidArgumentError, SourceLostError
from pvnet.video import Frame, Gap, Reconnect, Source, SourceInfo
from pvnet.video.live import LiveReader
from pvnet.video.reader import Picture

pytestmark = pytest.mark.timeout(60)
QUICK = Reconnect(first_s=0.01, most_s=0.05)


def picture(k, size=(4, 6)):
    return Picture(np.full((*size, 3), k % 250, np.uint8), k / 50)


class Camera:
    """A V4L2 camera: each opening gives the next of `lives`, and its end is what it says.

    A life is (pictures, end): an exception is raised, "end" ends, "hang" waits until `unhang`.
    """

    def __init__(self, *lives, live=True, size=(4, 6)):
        self.lives, self.live, self.size = list(lives), live, size
        self.opened = self.closed = 0
        self.unhang = threading.Event()
        self.sizes = []

    def __call__(self, size):
        self.sizes.append(size)
        self.opened += 1
        if not self.lives:
            raise OSError(19, "No such device")
        life = self.lives.pop(0)
        if isinstance(life, BaseException):
            raise life
        return _Life(self, *life)


class _Life:
    def __init__(self, camera, n, end):
        self.camera, self.n, self.end = camera, n, end
        h, w = camera.size
        self.info = SourceInfo(w, h, 50.0, None, None, live=camera.live)

    def pictures(self, stats):
        for k in range(self.n):
            yield picture(k, self.camera.size)
        if self.end == "hang":
            self.camera.unhang.wait(30)
        elif self.end != "end":
            raise self.end

    def close(self):
        self.camera.closed += 1


def opened(camera, *, reconnect=QUICK, read_s=5.0):
    reader = LiveReader(camera, "camera", open_s=5.0, read_s=read_s, reconnect=reconnect)
    return Source(reader, "camera")


UNPLUGGED = OSError(19, "No such device")


def test_an_unplugged_camera_is_found_again():
    camera = Camera((5, UNPLUGGED), OSError(2, "No such file"), OSError(16, "Busy"), (5, "end"))
    with opened(camera) as source:
        frames = [next(source) for _ in range(10)]
    assert [f.image[0, 0, 0] for f in frames] == [*range(5), *range(5)]
    assert [f.gap is not None for f in frames] == [k == 5 for k in range(10)]
    assert "No such device" in frames[5].gap.reason
    assert np.all(np.diff([f.time_s for f in frames]) > 0)
    assert camera.sizes[0] is None
    assert camera.sizes[1:] == [(4, 6)] * (camera.opened - 1)  # a new one keeps the size


def test_a_camera_that_hangs_is_left_and_opened_again():
    camera = Camera((3, "hang"), (3, UNPLUGGED))
    with opened(camera, read_s=0.2) as source:
        frames = [next(source) for _ in range(6)]
        camera.unhang.set()
    assert "no picture for" in frames[3].gap.reason
    assert frames[3].gap.frames >= 1


def test_a_camera_that_is_gone_ends_in_an_error_after_its_frames():
    source = opened(Camera((4, UNPLUGGED)), reconnect=Reconnect(0.01, 0.02, attempts=4))
    got = []
    with source, pytest.raises(SourceLostError, match=r"4 tries .*expected pictures") as caught:
        got.extend(iter(lambda: next(source).index, None))
    assert "No such device" in str(caught.value)
    assert source.stats.corrupt == 0


def test_mistakes_of_a_reader_are_not_taken_for_a_lost_camera():
    camera = Camera((2, TypeError("a mistake")), (2, "end"))
    with opened(camera) as source, pytest.raises(TypeError, match="a mistake"):
        list(source)
    assert camera.opened == 1


def test_a_video_with_an_end_ends_there_and_is_damaged_where_it_broke():
    camera = Camera((5, "end"), live=False)
    with opened(camera) as source:
        assert len(list(source)) == 5
    assert (camera.opened, source.stats.truncated) == (1, None)
    with opened(Camera((5, OSError(5, "Input/output error")), live=False)) as source:
        assert len(list(source)) == 5
    assert "Input/output" in source.stats.truncated
    looped = Source(
        LiveReader(Camera((2, "end"), (2, "end"), live=False), "x", open_s=5, read_s=5),
        "x",
        loop=True,
    )
    with looped as source:
        assert [next(source).index for _ in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("hangs", ["opening", "reading", "waiting"])
def test_a_source_can_be_interrupted_from_another_thread(hangs):
    camera = Camera((1, "hang" if hangs == "reading" else UNPLUGGED))
    reconnect = Reconnect(first_s=3600, most_s=3600, give_up_s=None)
    if hangs == "opening":
        reconnect = Reconnect(first_s=0.01)
        camera.lives.append((1, "end"))
    gate = threading.Event()

    def connect(size):
        if hangs == "opening" and camera.opened:
            gate.wait(30)
        return camera(size)

    reader = LiveReader(connect, "camera", open_s=None, read_s=None, reconnect=reconnect)
    feed = video.Feed(Source(reader, "camera"), "block")
    next(feed)
    time.sleep(0.1)
    feed.close()  # or this test's own time-out
    assert list(feed) == []
    gate.set()
    camera.unhang.set()
    assert not any(t.name == "pvnet-feed" and t.is_alive() for t in threading.enumerate())


def test_a_gap_before_a_frame_that_was_thrown_away_is_told_by_the_next():
    gap = Gap(1.0, 25, 1, "unplugged")

    def frames():
        for k in range(10):
            yield Frame(
                np.zeros((2, 2, 3), np.uint8), k, k / 10, "x", gap=gap if k in (3, 6) else None
            )
        done.set()

    for policy, capacity, at in (("latest", None, 9), ("drop_oldest", 2, 8)):
        done = threading.Event()
        with video.Feed(frames(), policy, capacity=capacity) as feed:
            assert done.wait(20)
            first = next(feed)
        assert first.index == at
        assert first.gap == Gap(2.0, 50, 2, "unplugged")
    done = threading.Event()
    with video.Feed(frames(), "drop_newest", capacity=1) as feed:
        assert done.wait(20)
        assert [f.gap for f in feed] == [None]


def test_gaps_survive_resampling():
    camera = Camera((50, UNPLUGGED), (50, UNPLUGGED))
    reader = LiveReader(camera, "camera", open_s=5, read_s=5, reconnect=Reconnect(0.001, 0.001, 1))
    with Source(reader, "camera", resample_fps=1.0) as source:
        with pytest.raises(SourceLostError):
            for _ in source:
                pass
        assert source.stats.reconnects == 1
    reader = LiveReader(
        Camera((60, UNPLUGGED), (60, UNPLUGGED)), "camera", open_s=5, read_s=5, reconnect=QUICK
    )
    with Source(reader, "camera", resample_fps=5.0) as source:
        seen = [next(source).gap for _ in range(10)]
    assert sum(g.reconnects for g in seen if g) == 1


@pytest.mark.parametrize("on_gap", ["keep", "reset"])
@pytest.mark.parametrize("policy", ["block", "latest"])
def test_the_state_across_a_gap_is_kept_or_reset_as_asked(on_gap, policy):
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=4, width=6)
    graph.output(graph.global_pool(graph.delay(x, 1)), name="before")
    plan = pvnet.compile((graph.wire("sequential", stages=1), {}))
    camera = Camera((6, UNPLUGGED), (6, UNPLUGGED))
    outs = []
    with (
        opened(camera, reconnect=Reconnect(0.2, 0.2, attempts=1)) as source,
        pytest.raises(SourceLostError),
    ):
        outs.extend(plan.stream().run(source, policy=policy, on_gap=on_gap))
    gap_at = next(i for i, o in enumerate(outs) if o.gap is not None)
    assert sum(o.gap is not None for o in outs) == 1
    out = outs[gap_at]
    assert out.gap.seconds > 0
    if on_gap == "reset":
        assert (int(out.tick[0]), bool(out.valid[0])) == (0, False)
        assert float(out["before"].sum()) == 0
    else:
        assert int(out.tick[0]) == gap_at
        assert float(out["before"].sum()) > 0  # the frame before the gap


def test_bad_gap_and_reconnect_settings_are_refused():
    stream = pvnet.Graph()
    x = stream.input("frame", channels=3, height=4, width=6)
    stream.output(stream.global_pool(x), name="y")
    plan = pvnet.compile((stream.wire("sequential", stages=1), {}))
    with pytest.raises(InvalidArgumentError, match="on_gap"):
        next(plan.stream().run([], on_gap="forget"))
    for how in ({"first_s": -1}, {"most_s": float("nan")}, {"attempts": -1}, {"give_up_s": -1}):
        with pytest.raises(InvalidArgumentError, match="Reconnect"):
            Reconnect(**how)


def test_back_off_doubles_up_to_its_bound():
    how = Reconnect(first_s=0.5, most_s=10)
    assert [how.wait_s(k) for k in (0, 1, 2, 3, 4, 5, 10**6)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_losing_and_finding_a_source_is_logged(caplog):
    with (
        caplog.at_level(logging.WARNING, "pvnet.video"),
        opened(Camera((2, UNPLUGGED), (2, UNPLUGGED))) as source,
    ):
        for _ in range(3):
            next(source)
    assert [r.message.split(" ")[1:3] for r in caplog.records[:2]] == [
        ["is", "lost"],
        ["is", "back"],
    ]


def test_default_policies_are_latest_for_live_sources_and_block_for_others(tmp_path):
    live = opened(Camera((3, "end")))
    assert video.default_policy(live) == "latest"
    assert video.Feed(live).policy == "latest"
    live.close()
    with video.open("synthetic:frames=3") as source:
        assert video.default_policy(source) == "block"
        assert video.Feed(source).policy == "block"
    assert video.default_policy(iter([])) == "block"


def test_a_live_source_does_not_lag_more_and_more_behind_a_slow_network():
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=4, width=6)
    graph.output(graph.global_pool(x), name="y")
    stream = pvnet.compile((graph.wire("sequential", stages=1), {})).stream()
    first, there = threading.Event(), threading.Event()

    class Endless(_Life):
        def pictures(self, stats):
            yield picture(0)
            first.wait(30)
            yield from map(picture, range(1, 100))
            there.set()
            self.camera.unhang.wait(30)

    camera = Camera()
    reader = LiveReader(lambda size: Endless(camera, 0, "end"), "camera", open_s=5, read_s=30)
    with Source(reader, "camera") as source:
        outs = stream.run(source)
        assert next(outs).frame.index == 0
        first.set()  # and now the network takes long for it
        assert there.wait(20)
        second = next(outs)
        camera.unhang.set()
    assert second.frame.index >= 97  # one read ahead, one in the queue


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_live_and_ends_where_its_writer_does(tmp_path):
    pytest.importorskip("av")
    from live_servers import encoded

    path, data = tmp_path / "pipe", encoded("mpegts", 30)
    os.mkfifo(path)
    threading.Thread(target=lambda: path.write_bytes(data), daemon=True).start()
    with video.open(path) as source:
        assert (source.info.live, video.default_policy(source)) == (True, "latest")
        assert len(list(source)) == 30
    assert source.stats.reconnects == 0
    for place in (path, "-"):
        with pytest.raises(InvalidArgumentError, match="reconnect of a pipe"):
            video.open(place, reconnect=True)


def test_the_standard_input_is_read_to_its_end():
    pytest.importorskip("av")
    from live_servers import encoded

    code = "from pvnet import video; s = video.open('-'); print(len(list(s)), s.info.live)"
    env = {**os.environ, "PYTHONPATH": str(Path(video.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=encoded("matroska", 30),
        capture_output=True,
        env=env,
        timeout=50,
        check=False,
    )
    assert done.stdout == b"30 True\n", done.stderr


def test_passwords_of_urls_are_not_told(caplog):
    url = "rtsp://admin:secret@127.0.0.1:9/live"
    camera = Camera((2, OSError(5, f"Input/output error: '{url}'")), (2, UNPLUGGED))
    reader = LiveReader(camera, url, open_s=5, read_s=5, reconnect=Reconnect(0.01, 0.01, 1))
    with Source(reader, "camera") as source:
        frames = [next(source) for _ in range(3)]
        with pytest.raises(SourceLostError) as caught:
            list(source)
    told = caplog.text + str(caught.value) + frames[2].gap.reason + str(source.stats)
    assert "rtsp://***@127.0.0.1" in told
    assert "secret" not in told


def test_a_consumer_that_slept_long_finds_its_camera_again():
    """Time that nobody looked is not time that the camera was gone."""
    camera = Camera((2, UNPLUGGED), (2, "hang"))
    with opened(camera, reconnect=Reconnect(0.01, 0.01, give_up_s=0.3)) as source:
        frames = [next(source), next(source)]
        time.sleep(0.6)
        frames.append(next(source))
        camera.unhang.set()
    assert frames[2].gap.seconds >= 0.5
