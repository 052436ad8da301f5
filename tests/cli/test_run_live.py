"""`pvnet run` on cameras that are slow to follow, die, or come back; on videos that end early."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

pytest.importorskip("av")

from live_servers import MjpegCamera, PieceCamera, encoded, encoded_file

from cli.conftest import SMALL
from cli.test_run import _choice
from pvnet.cli._common.overlay import Overlay, enlarged
from pvnet.cli._common.sources import open_source

pytestmark = pytest.mark.timeout(120)


def following(server, when, act):
    """Calls `act` once the server has sent `when` pictures."""

    def watch():
        while server.sent < when:
            server.pace()
        act()

    threading.Thread(target=watch, daemon=True).start()


def test_a_camera_is_run_with_latest_and_a_file_with_block(pvnet_cli, model_file, video_file):
    run = ("run", "--model", model_file, "--max-frames", "5", "--json")
    with MjpegCamera(fps=50) as server:
        camera = pvnet_cli(*run, server.url).document
        asked = pvnet_cli(*run, server.url, "--policy", "block").document
    file = pvnet_cli(*run, video_file).document
    assert (camera["policy"], camera["policy_is"], camera["live"]) == ("latest", "default", True)
    assert (asked["policy"], asked["policy_is"]) == ("block", "given")
    assert (file["policy"], file["policy_is"], file["live"]) == ("block", "default", False)
    done = pvnet_cli("run", "--model", model_file, "--max-frames", "5", video_file)
    assert "block, default" in done.words


def test_a_camera_that_comes_back_is_counted(pvnet_cli, model_file, tmp_path):
    with MjpegCamera(fps=50) as server:
        following(server, 30, server.drop)
        done = pvnet_cli(
            "run", server.url, "--model", model_file, "--json", "--policy", "block",
            "--max-frames", "60", "--on-gap", "reset", "--out", tmp_path / "out.mp4",
        )  # fmt: skip
    assert done.code == 0, done.err
    d = done.document
    assert d["reconnects"] >= 1
    assert d["gap_s"] > 0
    assert d["gap_frames"] >= 1
    assert (d["lost"], d["truncated"], d["on_gap"]) == (None, None, "reset")
    assert d["corrupt_frames"] <= 2
    assert d["frames"] == 60
    assert "is lost" in done.err
    assert "is back after" in done.err


def test_a_camera_that_is_gone_for_good_ends_with_1_and_a_result(pvnet_cli, model_file):
    for how in (("--reconnect-for", "0.3"), ("--no-reconnect",)):
        with MjpegCamera(fps=50) as server:
            following(server, 20, lambda s=server: s.die(reset=True))
            words = ("run", server.url, "--model", model_file, *how)
            done = pvnet_cli(*words, "--json", "--quiet")
        assert done.code == 1
        assert done.document["frames"] > 0
        assert "is lost" in done.document["lost"]
        assert done.err == ""
    with MjpegCamera(fps=50) as server:
        following(server, 20, server.die)
        done = pvnet_cli("run", server.url, "--model", model_file, "--reconnect-for", "0.3")
    assert done.code == 1
    assert "is lost" in done.words
    assert "pvnet run: [video] the live source" in done.err


def test_a_video_that_ends_early_is_said_to_be_damaged(pvnet_cli, model_file, tmp_path):
    path = tmp_path / "cut.mp4"
    encoded_file(path, "mp4", 100)
    path.write_bytes(path.read_bytes()[:-1500])
    data = encoded("matroska", 100)
    with PieceCamera(data, length=True, cut=len(data) // 2, piece=4096, fps=1000) as server:
        for name in (path, server.url):
            done = pvnet_cli("run", name, "--model", model_file, "--json")
            assert done.code == 0
            assert done.document["truncated"]
            assert done.document["frames"] < 100
            assert done.document["corrupt_frames"] <= 2
            assert "ends early" in done.err
        assert "ends early" in pvnet_cli("run", path, "--model", model_file).out


def test_reconnecting_to_a_file_is_refused(pvnet_cli, model_file, video_file):
    done = pvnet_cli("run", video_file, "--model", model_file, "--reconnect")
    assert done.code == 1
    assert "reconnect of a file" in done.err


def test_quiet_silences_the_notes_about_lost_sources_only_while_it_is_asked(
    pvnet_cli, model_file, video_file
):
    log = logging.getLogger("pvnet.video")
    pvnet_cli("run", video_file, "--model", model_file, "--max-frames", "1", "--quiet")
    assert not log.isEnabledFor(logging.WARNING)
    pvnet_cli("run", video_file, "--model", model_file, "--max-frames", "1")
    assert log.isEnabledFor(logging.WARNING)


def test_joints_of_a_tick_are_read_once_for_the_picture_and_the_row(monkeypatch, video_file):
    from pvnet.decode.meaning import Meaning
    from pvnet.results import row_of
    from pvnet.runtime import compile

    choice = _choice("--model", "par_densenet", *SMALL)
    plan = compile((choice.graph, choice.weights))
    overlay, stream = Overlay(plan, choice), plan.stream()
    read, joints = [], Meaning.joints
    monkeypatch.setattr(
        Meaning, "joints", lambda self, *args: read.append(1) or joints(self, *args)
    )
    with open_source(str(video_file), plan, keep_original=True) as source:
        tick = next(stream.run(source))
    drawn = overlay.draw(tick.frame, tick)
    assert row_of(tick).joints is not None
    assert len(read) == 1
    by_hand = tick.frame.original.copy()
    picture, _ = enlarged(by_hand)
    overlay.mark(picture, tick.frame, overlay.meaning.kept(tick))
    assert len(read) == 2
    inner = (slice(40, -40), slice(None))  # without the lines of text
    assert np.array_equal(drawn[inner], picture[inner])


def test_the_overlay_shows_a_gap_for_a_while():
    from dataclasses import replace

    from pvnet.runtime import compile
    from pvnet.video import Gap

    choice = _choice("--model", "par_densenet", *SMALL)
    plan = compile((choice.graph, choice.weights))
    overlay = Overlay(plan, choice)
    with open_source("synthetic:frames=1", plan) as source:
        frame = next(source)
    tick = plan.stream().tick(frame.image)

    def drawn(at_s, gap=None):
        now = replace(frame, time_s=at_s, gap=gap)
        tick.frame = now
        return overlay.draw(now, tick)

    plain = drawn(0.0)
    told = drawn(1.0, Gap(3.2, 80, 1, "unplugged"))
    assert not np.array_equal(plain, told)
    assert np.array_equal(drawn(2.0), told)
    assert np.array_equal(drawn(60.0), plain)
