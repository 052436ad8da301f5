"""`pvnet demo`: table, exactness, scores, files, and what happens without the extras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cli.conftest import count_frames
from pvnet.cli._demo.demo_run import pck


def test_demo_compares_and_writes(pvnet_cli, tmp_path):
    pytest.importorskip("av")
    pytest.importorskip("matplotlib")
    out = tmp_path / "demo"
    words = ("--size", "32", "--moments", "1", "--lanes", "2")
    done = pvnet_cli("demo", "--frames", "24", "--out", out, *words, "--json")
    assert done.code == 0, done.err
    d = done.document
    rows = {row["title"]: row for row in d["rows"]}
    assert list(rows) == ["sequential, 1 lane", "sequential", "pipelined", "predictive"]
    stages = rows["pipelined"]["stages"]
    assert stages > 1
    assert d["pipelined_minus_sequential_max"] <= 1e-5
    assert rows["sequential"]["information_latency_ticks"] == 0
    assert rows["pipelined"]["information_latency_ticks"] == stages - 1
    assert rows["predictive"]["information_latency_ticks"] < stages - 1
    for row in rows.values():
        assert row["ticks"] == 24
        assert row["computational_latency_p50_ms"] > 0
        assert 0 <= row["pck_0_2"] <= 1
        assert row["warm_up_seen_ticks"] == row["warm_up_ticks"]
    assert list(rows["sequential"]["age_ticks"].values()) == [0] * stages
    # The first stage of the pipelined network contributed the oldest frame.
    assert rows["pipelined"]["age_ticks"]["0"] == stages - 1
    frames, last = count_frames(out / "demo.mp4")
    assert frames == 24
    assert last.shape[1] > last.shape[0]
    assert (out / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "demo.json").exists()
    assert [side["lanes"] for side in d["comparison"]["sides"]] == [2, 2]
    assert count_frames(out / "compare.mp4")[0] == 24


def test_demo_prints_a_table(pvnet_process):
    done = pvnet_process("demo", "--frames", "14", "--no-files", "--size", "32")
    assert done.code == 0, done.err
    shown = ("sequential", "pipelined", "predictive", "PCK@0.2", "ticks/s", "p99", "age")
    for word in (*shown, "simulated", "on these lanes"):
        assert word in done.words
    assert "#" not in done.err  # no progress bar where there is no terminal


def test_demo_without_extras_degrades(pvnet_process, tmp_path):
    code = (
        "import sys\n"
        "sys.modules['av'] = None\n"
        "sys.modules['matplotlib'] = None\n"
        "from pvnet.cli.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = pvnet_process(
        "demo", "--frames", "12", "--out", "d", "--size", "32", program=("-c", code)
    )
    assert done.code == 0, done.err
    assert "pip install" in done.err
    assert (tmp_path / "d" / "timeline.txt").read_text().strip()
    assert (tmp_path / "d" / "demo_stills.ppm").read_bytes().startswith(b"P6 ")


def test_same_seed_same_scores(pvnet_cli):
    scores = []
    for _ in range(2):
        words = ("--frames", "16", "--no-files", "--size", "32", "--seed", "5", "--json")
        done = pvnet_cli("demo", *words)
        scores.append([row["pck_0_2"] for row in done.document["rows"]])
    assert scores[0] == scores[1]


@dataclass
class Truth:
    joints: np.ndarray
    visible: np.ndarray


def test_pck_counts_visible_joints_within_reach():
    joints = np.zeros((13, 2), np.float32)
    joints[0] = (0, 100)  # the larger side is 100 pixels: the reach is 20
    visible = np.ones(13, bool)
    visible[5] = False
    found = joints.copy()
    found[1] += (0, 19)  # a hit
    found[2] += (21, 0)  # a miss
    found[5] += (90, 0)  # not visible: does not count
    assert pck([found], [Truth(joints, visible)]) == pytest.approx(11 / 12)
    assert pck([], []) is None
