"""Ctrl-C, SIGTERM and SIGHUP: the file is closed, the summary printed, the exit code says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import ROOT, SMALL, count_frames
from pvnet.cli._common.signals import Interrupted, ending_signals, uninterrupted

ENDLESS = ("run", "synthetic", *SMALL, "--max-frames", "1000000", "--json")


def start(words, folder: Path, *, prepare=None) -> subprocess.Popen[str]:
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return subprocess.Popen(
        [sys.executable, "-m", "pvnet.cli", *(str(w) for w in words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def wait_for(path: Path, size: int, process) -> None:
    for _ in range(3000):
        if path.exists() and path.stat().st_size > size:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    pytest.fail(f"no {path}")


@pytest.mark.parametrize(
    ("name", "code", "suffix"),
    [("SIGINT", 130, ".mp4"), ("SIGTERM", 143, ".mkv"), ("SIGHUP", 129, ".mp4")],
)
def test_a_signal_ends_a_run_with_a_whole_video_and_a_summary(tmp_path, name, code, suffix):
    out, part = tmp_path / f"o{suffix}", tmp_path / f"o.partial{suffix}"
    out.write_bytes(b"an older one")
    as_text = name == "SIGHUP"
    words = [w for w in ENDLESS if not (as_text and w == "--json")]
    # Tests that run under nohup ignore it, and so would their children.
    heed = lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)  # noqa: E731
    with start((*words, "--out", out), tmp_path, prepare=heed) as process:
        wait_for(part, 20_000, process)
        process.send_signal(getattr(signal, name))
        text, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == [out.name]
    frames = count_frames(out)[0]
    if as_text:
        assert f"by {name} after" in text
        assert out.name in text
        assert frames >= 10
        return
    document = json.loads(text)
    assert document["interrupted"] is True
    assert document["interrupted_by"] == name
    assert document["frames"] >= document["out_frames"] >= 10
    assert frames == document["out_frames"]


def test_a_killed_run_leaves_a_video_that_plays(tmp_path):
    with start((*ENDLESS, "--out", "o.mp4"), tmp_path) as process:
        wait_for(tmp_path / "o.partial.mp4", 60_000, process)
        process.kill()
        process.communicate(timeout=60)
    assert count_frames(tmp_path / "o.partial.mp4")[0] >= 10


def test_a_signal_ends_any_command_with_its_code(tmp_path):
    words = ("bench", *SMALL, "--rounds", "1000000", "--ticks", "1", "--json")
    marked = (
        "import sys, pvnet.cli._bench.cases as c\n"
        "measure = c.Case.measure\n"
        "def first(*a): print('begun', file=sys.stderr, flush=True); return measure(*a)\n"
        "c.Case.measure = first\n"
        "from pvnet.cli.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", marked, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        while "begun" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        text, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert json.loads(text)["interrupted"] is True
    assert "interrupted by SIGTERM" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_nohup_is_respected(tmp_path):
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    with start((*ENDLESS, "--out", "o.mp4"), tmp_path, prepare=ignore) as process:
        wait_for(tmp_path / "o.partial.mp4", 20_000, process)
        before = (tmp_path / "o.partial.mp4").stat().st_size
        process.send_signal(signal.SIGHUP)
        wait_for(tmp_path / "o.partial.mp4", before + 20_000, process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143


def test_what_must_not_be_cut_in_two_is_not():
    done = []

    def work(what: str, *signals: int) -> None:
        with uninterrupted():
            for number in signals:
                os.kill(os.getpid(), number)
                time.sleep(0.01)
            done.append(what)

    with ending_signals():
        with pytest.raises(Interrupted) as caught:
            work("written", signal.SIGTERM)
        assert (done, caught.value.exit_code) == (["written"], 143)
        # On the way out: other signals are late, one Ctrl-C waits, the second means it.
        work("closed", signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        with pytest.raises(Interrupted):
            work("not reached", signal.SIGINT, signal.SIGINT)
    assert done == ["written", "closed"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_handlers_of_the_caller_stay():
    mine = lambda *_: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with ending_signals():
            assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_forked_child_dies_as_it_would():
    here, there = os.pipe()
    with ending_signals():
        child = os.fork()
        if child == 0:
            os.write(there, b"x")
            time.sleep(20)
            os._exit(0)
        os.read(here, 1)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGTERM


STALLING = """
import sys
import pvnet.cli._common.signals as signals
import pvnet.video.feed as feed
from pvnet.cli.__main__ import main

signals._GRACE_S = feed._JOIN_S = 0.5
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("policy", "begun"),
    [
        ("block", True),
        ("block", False),
        pytest.param("latest", True, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_run_whose_source_gives_nothing_more(tmp_path, begun, policy):
    av = pytest.importorskip("av")
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(100):
            noise = np.random.default_rng(i).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    os.mkfifo(tmp_path / "pipe")
    words = ("run", "pipe", *SMALL, "--policy", policy, "--out", "o.mp4", "--json")
    process = subprocess.Popen(
        [sys.executable, "-c", STALLING, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process, (tmp_path / "pipe").open("wb", buffering=0) as pipe:
        data = clip.read_bytes()
        pipe.write(data[: len(data) * 3 // 4] if begun else b"")
        if begun:
            wait_for(tmp_path / "o.partial.mp4", -1, process)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        text, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    if begun:
        assert json.loads(text)["interrupted_by"] == "SIGTERM"
        assert count_frames(tmp_path / "o.mp4")[0] >= 1
    else:
        assert "interrupted by SIGTERM" in err
