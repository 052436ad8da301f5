"""Cameras that die, on the loopback address: reset, closed, stalled, killed and restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("av")

from live_servers import (
    LEVELS,
    MjpegCamera,
    PieceCamera,
    RtspCamera,
    encoded,
    number,
)

from pvnet import video
from pvnet.errors import FileError

pytestmark = pytest.mark.timeout(60)
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
QUICK = {"probesize": "32768", "analyzeduration": "100000"}


def transport_stream():
    return PieceCamera(encoded("mpegts", 100), again=True, piece=376, fps=100)


def fragments():
    data = encoded("mp4", 100, **FRAGMENTS)
    return PieceCamera(data, kind="video/mp4", piece=100, fps=100)


CAMERAS = {
    "mjpeg": lambda: MjpegCamera(fps=100),
    "mpegts": transport_stream,
    "fmp4": fragments,
    "rtsp": lambda: RtspCamera(fps=100),
}


def reset(server):
    server.die(reset=True)
    server.restart()


def closed(server):
    server.drop()


def stalled(server):
    server.stalled.set()
    threading.Timer(2.0, server.stalled.clear).start()


def read_across(server, act, *, before=10, after=10, **how):
    """Frames up to `after` ones behind the first gap; `act` happens behind `before`."""
    frames, gap_at = [], None
    with video.open(server.url, timeout_s=0.6, options=QUICK, **how) as source:
        for frame in source:
            frames.append(frame)
            if len(frames) == before:
                act(server)
            if getattr(frame, "gap", None) is not None and gap_at is None:
                gap_at = len(frames) - 1
            if gap_at is not None and len(frames) >= gap_at + after:
                break
            assert len(frames) < 2000
    return source, frames, gap_at


# Every kind of camera and every end; the rest of the table is slow.
QUICKEST = {("mjpeg", reset), ("fmp4", closed), ("rtsp", closed), ("mpegts", stalled)}
DEATHS = [
    pytest.param(
        kind,
        end,
        id=f"{kind}-{end.__name__}",
        marks=[] if (kind, end) in QUICKEST else [pytest.mark.slow],
    )
    for kind in CAMERAS
    for end in (reset, closed, stalled)
]


@pytest.mark.parametrize(("kind", "end"), DEATHS)
def test_a_camera_that_dies_and_comes_back_does_not_end_like_a_file(kind, end):
    with CAMERAS[kind]() as server:
        source, frames, gap_at = read_across(server, end)
    assert gap_at is not None, "it ended like a file"
    assert source.info.live
    gap = frames[gap_at].gap
    assert gap.reconnects == 1
    assert gap.reason
    # The gap is in the time stamps, and nothing else is.
    times = [f.time_s for f in frames]
    assert all(b > a for a, b in pairwise(times))
    assert times[gap_at] - times[gap_at - 1] == pytest.approx(gap.seconds, abs=0.25)
    assert gap.frames >= 1
    assert [f.index for f in frames] == list(range(len(frames)))
    s = source.stats
    assert s.reconnects == 1
    assert s.corrupt <= 1  # a picture that was cut in two
    assert (s.gap_s, s.gap_frames) == (gap.seconds, gap.frames)
    assert len([f for f in frames if f.gap is not None]) == 1
    # What comes after is a picture of the camera, not of the memory of the decoder.
    numbers = [number(f.image) for f in frames[gap_at:]]
    steps = {(b - a) % LEVELS for a, b in pairwise(numbers)}
    assert steps <= {1, 2}  # the server counts on for a moment in the connection that is gone
    assert server.connections >= 2


def test_a_camera_that_is_switched_off_for_a_while_is_waited_for():
    def off(server):
        server.die(reset=True)
        threading.Timer(1.0, server.restart).start()

    with MjpegCamera(fps=100) as server:
        _, frames, gap_at = read_across(server, off)
    assert frames[gap_at].gap.seconds >= 0.9


def test_a_camera_that_is_gone_for_good_is_an_error_not_an_end():
    from pvnet.errors import SourceLostError

    how = video.Reconnect(first_s=0.01, most_s=0.05, give_up_s=0.5)
    with MjpegCamera(fps=100) as server, pytest.raises(SourceLostError) as caught:
        read_across(server, lambda s: s.die(), reconnect=how)
    assert "is lost" in str(caught.value)
    how = video.Reconnect(first_s=0.01, attempts=3)
    with MjpegCamera(fps=100) as server, pytest.raises(SourceLostError, match="3 tries"):
        read_across(server, lambda s: s.die(), reconnect=how)
    with MjpegCamera(fps=100) as server, pytest.raises(SourceLostError, match="not connected"):
        read_across(server, lambda s: s.die(reset=True), reconnect=False)


def test_a_server_that_never_answers_is_given_up_in_time():
    with MjpegCamera(fps=100) as server:
        server.stalled.set()
        server.serve = lambda connection: server.pace()
        with pytest.raises(FileError, match=r"no data for 0\.5 s|no answer for"):
            video.open(server.url, timeout_s=0.5)


@pytest.mark.parametrize("form", ["matroska", "mp4", "mpegts"])
def test_a_download_that_is_cut_is_said_to_be_damaged(form):
    data = encoded(form, 100, **(FRAGMENTS if form == "mp4" else {}))
    server = PieceCamera(data, length=True, cut=len(data) // 2, piece=4096, fps=1000)
    with server, video.open(server.url, timeout_s=2) as source:
        frames = list(source)
    assert not source.info.live
    assert 5 < len(frames) < 100
    assert source.stats.truncated
    assert source.stats.corrupt <= 2  # not 50 times the same


def test_a_whole_download_is_not_said_to_be_damaged():
    data = encoded("matroska", 40)
    server = PieceCamera(data, length=True, piece=65536, fps=1000)
    with server, video.open(server.url, timeout_s=2) as source:
        assert len(list(source)) == 40
    assert source.stats.truncated is None
    assert source.stats.reconnects == 0
    assert server.connections <= 2


def test_time_stamps_of_mjpeg_are_those_of_the_clock_not_of_25_pictures_a_second():
    with (
        MjpegCamera(fps=100) as server,
        video.open(server.url, timeout_s=2) as source,
    ):
        begin = time.monotonic()
        frames = [next(source) for _ in range(60)]
        took = time.monotonic() - begin
    assert frames[0].time_s == 0
    assert frames[-1].time_s == pytest.approx(took, abs=1.0)  # 2.4 s at 25 a second


@pytest.mark.parametrize("state", ["playing", "silent", "gone"])
def test_closing_a_feed_of_a_live_source_ends_at_once(state):
    with MjpegCamera(fps=50) as server:
        source = video.open(server.url, timeout_s=300)
        feed = video.Feed(source)
        assert feed.policy == "latest"
        next(feed)
        if state == "silent":
            server.stalled.set()
        if state == "gone":
            server.die()
        time.sleep(0.3)
        feed.close()  # or this test's own time-out
    assert not any(t.name == "pvnet-feed" and t.is_alive() for t in threading.enumerate())


PROGRAM = """
import sys
from pvnet import video
source = video.open(sys.argv[1], timeout_s=600)
if sys.argv[2] != "direct":
    source = video.Feed(source, sys.argv[2])
try:
    for frame in source:
        print(frame.index, flush=True)
except KeyboardInterrupt:
    source.close()
    print("interrupted", flush=True)
"""


@pytest.fixture
def child():
    """Starts PROGRAM (or other code); it does not outlive the test."""
    started = []

    def start(*words, code=PROGRAM):
        env = {**os.environ, "PYTHONPATH": str(Path(video.__file__).parents[2])}
        command = [sys.executable, "-c", code, *words]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, env=env))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("state", "how"),
    [
        ("opening", "direct"),
        ("silent", "direct"),
        pytest.param("gone", "latest", marks=pytest.mark.slow),
        pytest.param("silent", "latest", marks=pytest.mark.slow),
        pytest.param("gone", "direct", marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_in_a_read_that_waits_ends_at_once(state, how, child):
    with MjpegCamera(fps=50) as server:
        if state == "opening":
            server.serve = lambda connection: (server.stalled.set(), server.pace())
        process = child(server.url, how)
        if state == "opening":
            while not server.connections:
                time.sleep(0.01)
        else:
            for _ in range(3):
                process.stdout.readline()
            server.stalled.set() if state == "silent" else server.die()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)  # the time-outs are 600 s
    if state == "opening":
        assert b"KeyboardInterrupt" in err
    else:
        assert out.endswith(b"interrupted\n")
        assert process.returncode == 0, err


def test_a_process_ends_cleanly_while_a_camera_is_silent(child):
    code = PROGRAM.split("if sys.argv")[0] + "next(source); print('end', flush=True)"
    with MjpegCamera(fps=50) as server:
        process = child(server.url, code=code)
        if process.stdout.readline():
            server.stalled.set()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize("kind", CAMERAS)
def test_a_camera_that_dies_twenty_times_is_followed(kind):
    ends = [reset, closed, stalled]
    with CAMERAS[kind]() as server:
        how = video.Reconnect(first_s=0.05)
        gaps = 0
        with video.open(server.url, timeout_s=0.6, options=QUICK, reconnect=how) as source:
            since = 0
            for frame in source:
                since += 1
                if frame.gap is not None:
                    gaps, since = gaps + frame.gap.reconnects, 0
                if since == 10:
                    ends[gaps % 3](server)
                if gaps >= 20:
                    break
    assert source.stats.reconnects >= 20
    assert source.stats.corrupt <= 20
    assert sum(t.name == "pvnet-live" and t.is_alive() for t in threading.enumerate()) <= 1
