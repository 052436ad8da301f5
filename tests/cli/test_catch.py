"""`pvnet demo catch`: four ways to run a network play the same throws."""

from __future__ import annotations

import pytest

from cli.conftest import count_frames


def test_catch_plays_and_writes(pvnet_cli, tmp_path):
    pytest.importorskip("av")
    out = tmp_path / "catch"
    done = pvnet_cli(
        *("demo", "catch", "--throws", "4", "--speed", "3", "--lanes", "2"),
        *("--out", out, "--json"),
    )
    assert done.code == 0, done.err
    d = done.document
    titles = [row["title"] for row in d["rows"]]
    assert titles == ["frame by frame", "round-robin", "pipelined", "predictive"]
    rows = dict(zip(titles, d["rows"]))
    assert rows["pipelined"]["delay_ms"] == pytest.approx(14 * rows["pipelined"]["period_ms"])
    assert rows["predictive"]["delay_ms"] == rows["predictive"]["period_ms"]
    assert rows["round-robin"]["delay_ms"] == pytest.approx(2 * rows["round-robin"]["period_ms"])
    for row in d["rows"]:
        (score,) = row["scores"]
        assert 0 <= score["low"] <= score["rate"] <= score["high"] <= 1
        assert score["error_px"] is None or score["error_px"] >= 0  # None: down before an answer
    assert d["rows"][-1]["scores"][0]["predictive_minus_this"]["difference"] == 0
    frames, last = count_frames(out / "catch.mp4")
    assert frames == 4 * 40
    assert last.shape[1] > last.shape[0]


def test_a_frozen_world_is_the_control(pvnet_cli):
    done = pvnet_cli(
        *("demo", "catch", "--throws", "6", "--speed", "8", "--frozen", "--no-files", "--json")
    )
    assert done.code == 0, done.err
    for row in done.document["rows"]:
        assert row["scores"][0]["rate"] == 1.0
    for row in done.document["rows"][:3]:
        assert row["scores"][0]["error_px"] < 1.5


def test_catch_in_real_time(pvnet_cli, tmp_path):
    pytest.importorskip("av")
    out = tmp_path / "catch"
    done = pvnet_cli(
        *("demo", "catch", "--real-time", "--throws", "2", "--speed", "1", "--lanes", "2"),
        *("--out", out, "--json"),
    )
    assert done.code == 0, done.err
    d = done.document
    assert d["real_time"] is True
    assert [row["title"] for row in d["rows"]] == [
        "frame by frame", "round-robin", "pipelined", "predictive"
    ]  # fmt: skip
    for row in d["rows"]:
        (score,) = row["scores"]
        assert 0 <= score["low"] <= score["rate"] <= score["high"] <= 1
        assert row["period_ms"] is None or row["period_ms"] > 0  # None: the machine was busy
    assert count_frames(out / "catch.mp4")[0] == 2 * 40


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--throws", "3"), "--throws"),
        (("--aim", "follow", "--frozen"), "--aim, --frozen"),
        (("catch", "--fps", "30"), "--fps"),
        (("catch", "--compare"), "--compare"),
        (("--real-time",), "--real-time"),
        (("catch", "--real-time", "--lanes-simulated", "8"), "--lanes-simulated"),
        (("catch", "--real-time", "--frozen"), "not allowed with"),
    ],
)
def test_options_of_the_other_demo_are_refused(pvnet_cli, words, named):
    done = pvnet_cli("demo", *words)
    assert done.code == 2
    assert named in done.err
