"""`pvnet demo --compare`: the clock, the simulated lanes, the numbers and the pictures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

import pvnet
from cli.conftest import count_frames
from pvnet import models
from pvnet.cli._demo.clock import Moment, Result, live, moments, on_show
from pvnet.cli._demo.lanes import OperationTimes, measure_operations, meetings, schedule_of
from pvnet.cli._demo.picture import fitted
from pvnet.models.random_weights import random_weights

FAST = ("--frames", "24", "--moments", "2", "--size", "32")


def taken(n: int, rate_hz: float, *seconds: float) -> list[Result]:
    """What a network takes whose ticks last as given; the last value goes on."""
    waits = [*seconds]
    return live(n, rate_hz, lambda _: waits.pop(0) if len(waits) > 1 else waits[0])


def test_a_fast_network_takes_every_frame_as_it_comes():
    results = taken(4, 10, 0.05)
    assert [r.frame for r in results] == [0, 1, 2, 3]
    assert [r.begin_s for r in results] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [r.end_s for r in results] == pytest.approx([0.05, 0.15, 0.25, 0.35])


def test_a_slow_network_skips_to_the_newest_frame():
    results = taken(8, 10, 0.25)
    assert [r.frame for r in results] == [0, 2, 5, 7]
    assert [r.begin_s for r in results] == pytest.approx([0.0, 0.25, 0.5, 0.75])


def test_exactly_the_rate_skips_nothing():
    assert [r.frame for r in taken(50, 30, 1 / 30)] == list(range(50))


def test_one_slow_tick_costs_the_frames_of_its_time():
    assert [r.frame for r in taken(6, 10, 0.05, 0.25, 0.05)] == [0, 1, 3, 4, 5]


def test_moments_lie_inside_their_intervals():
    shown = moments(2, 10, 2)
    assert [m.now_s for m in shown] == pytest.approx([0.025, 0.075, 0.125, 0.175])
    assert [m.frame for m in shown] == [0, 0, 1, 1]


def test_nothing_is_shown_before_it_exists():
    results = taken(8, 10, 0.25)
    assert on_show(results, Moment(0.24, 2)) is None
    assert on_show(results, Moment(0.26, 2)) == 0
    assert on_show(results, Moment(0.49, 4)) == 0
    assert on_show(results, Moment(9.0, 7)) == 3


def test_a_tick_lasts_as_long_as_the_busiest_lane_between_meetings():
    tile_ms = np.array([[1.0, 0.5], [0.0, 0.5]])  # the first operation is due every other tick
    times = OperationTimes(tile_ms, np.array([0, 1]), np.array([4, 2]), rest_ms=0.25)
    assert times.stage_ms == [2.0, 1.0]
    one = [[[[(0, 0, 4), (1, 0, 2)]]], [[[(1, 0, 2)]]]]
    assert times.tick_ms(one).tolist() == [5.25, 1.25]
    two = [[[[(0, 0, 2)], [(0, 2, 4)]], [[(1, 0, 1)], [(1, 1, 2)]]], [[[(1, 0, 1)], [(1, 1, 2)]]]]
    assert times.tick_ms(two).tolist() == [2.75, 0.75]
    assert (meetings(one), meetings(two)) == (1.0, 1.5)
    uneven = [[[[(0, 0, 4)], [(1, 0, 2)]]], [[[], [(1, 0, 2)]]]]
    assert times.tick_ms(uneven).tolist() == [4.25, 1.25]


@pytest.mark.parametrize("config", [{}, {"clocks": "i3d"}])
def test_times_of_operations_come_from_the_trace(config):
    size = {"width": 0.125, "size": 32, "stages": 5}
    graph = models.build("par_inception", wiring="predictive", **size, **config)
    model = (graph, random_weights(graph))
    plan = pvnet.compile(model, lanes=1)
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    times, again = measure_operations([plan, plan], list(noise))
    assert times.tile_ms.shape == again.tile_ms.shape == (plan.hyper_period, len(plan.ops))
    assert times.rest_ms >= 0
    assert len(times.stage_ms) == 5
    assert (times.tile_ms.max(axis=0) > 0).all()
    if config:  # what is not due does no work
        assert (times.tile_ms == 0).any()
    # All lanes together do what one does: the schedule of many leaves nothing out.
    work = (times.tile_ms * times.tiles).sum(axis=1) + times.rest_ms
    assert times.tick_ms(schedule_of(plan)) == pytest.approx(work)
    many = times.tick_ms(schedule_of(pvnet.compile(model, lanes=8)))
    assert (many <= work + 1e-9).all()
    assert (many >= times.rest_ms + (work - times.rest_ms) / 8 - 1e-9).all()


def test_pictures_are_fitted():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    assert fitted(small, 60).shape == (60, 80, 3)
    assert np.array_equal(fitted(small, 60)[::2, ::2], small)
    assert fitted(small, 30) is not small
    large = np.full((301, 402, 3), 7, np.uint8)
    assert fitted(large, 100).shape == (100, 134, 3)
    assert (fitted(large, 100) == 7).all()


def test_comparison_of_the_built_in_video(pvnet_cli, tmp_path):
    pytest.importorskip("av")
    done = pvnet_cli("demo", "--compare", *FAST, "--out", tmp_path / "d", "--lanes", "2", "--json")
    assert done.code == 0, done.err
    d = done.document
    assert json.loads((tmp_path / "d" / "compare.json").read_text()) == d
    assert (d["source"], d["frames"], d["moments_per_frame"]) == ("synthetic", 24, 2)
    assert d["rate_hz"] > 0
    assert "keep" in d["rate_is"]
    left, right = d["sides"]
    assert (left["wiring"], left["lanes"], left["lanes_simulated"]) == ("sequential", 2, False)
    assert (right["wiring"], right["lanes"], right["lanes_simulated"]) == ("predictive", 2, False)
    assert left["stages"] == right["stages"] == 14
    assert left["weights"] == right["weights"] == "random weights"
    assert [row["lanes"] for row in d["more_lanes"]] == [2, 4, 8, 16]
    assert all(row["simulated"] and min(row["tick_ms"]) > 0 for row in d["more_lanes"])
    for before, after in zip(d["more_lanes"], d["more_lanes"][1:]):
        assert len(before["meetings"]) == len(after["meetings"]) == 2
    for side in d["sides"]:
        assert side["results"] + side["missed_frames"] == 24
        assert side["computational_latency_p50_ms"] > 0
        assert side["pck_0_2"] is None or 0 <= side["pck_0_2"] <= 1
    assert count_frames(tmp_path / "d" / "compare.mp4")[0] == 48


def test_slow_frames_are_all_taken_and_scored(pvnet_cli):
    done = pvnet_cli("demo", "--compare", *FAST, "--no-files", "--fps", "0.01", "--json")
    assert done.code == 0, done.err
    d = done.document
    assert (d["rate_hz"], d["rate_is"], d["files"]) == (0.01, "given", {})
    graph = models.build("par_densenet", size=32, stages=14, wiring="predictive")
    assert d["scored_moments"] == 2 * (24 - graph.outputs[0].warm_up_ticks)
    for side in d["sides"]:
        assert (side["results"], side["missed_frames"]) == (24, 0)
        assert side["age_mean_frames"] == side["information_latency_ticks"]
        assert 0 <= side["pck_0_2"] <= 1


def test_simulated_lanes_are_called_simulated(pvnet_cli):
    words = ("demo", "--compare", *FAST, "--no-files", "--lanes-simulated", "7", "--slowdown", "3")
    d = pvnet_cli(*words, "--json").document
    left, right = d["sides"]
    for side in (left, right):
        assert (side["lanes"], side["lanes_simulated"]) == (7, True)
        assert len(side["stage_ms"]) == side["stages"]
        # Never shorter than a seventh of the work.
        assert side["computational_latency_p50_ms"] >= 3 * sum(side["stage_ms"]) / 7
    assert 0 in (left["missed_frames"], right["missed_frames"])  # at the rate of constant ticks
    assert d["slowdown"] == 3
    text = pvnet_cli(*words).out
    assert "SIMULATED" in text
    assert "7 simulated" in text
    assert "x 3" in text


def test_random_weights_show_the_truth_of_the_frame_they_heard_of(pvnet_cli):
    """What is wrong with the joints on show is their age alone: at a rest nothing is."""
    words = ("demo", "--compare", *FAST, "--no-files", "--fps", "0.01", "--stages", "4", "--json")
    left, right = pvnet_cli(*words).document["sides"]
    assert left["pck_0_2"] == 1.0
    assert 0 < right["pck_0_2"] <= 1


def test_a_trained_network_is_compared_by_its_own_joints(pvnet_cli):
    words = ("--model", "par_densenet_demo", "--no-files", "--fps", "0.01", "--json")
    d = pvnet_cli("demo", "--compare", *FAST, *words).document
    assert [side["weights"].startswith("trained on") for side in d["sides"]] == [True, True]
    assert [side["model_random"] for side in d["sides"]] == [False, False]
    assert all(0 < side["pck_0_2"] <= 1 for side in d["sides"])


def test_comparison_of_a_video_file(pvnet_cli, video_file, tmp_path):
    words = ("--lanes-simulated", "4", "--out", tmp_path, "--fit", "letterbox", "--json")
    done = pvnet_cli("demo", "--compare", video_file, "--moments", "1", *words)
    assert done.code == 0, done.err
    d = done.document
    assert (d["source"], d["frames"]) == (str(video_file), 12)
    assert [side["pck_0_2"] for side in d["sides"]] == [None, None]
    frames, last = count_frames(tmp_path / "compare.mp4")
    assert frames == 12
    assert last.shape[1] > 2 * 480


@pytest.fixture
def actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that ships small networks for actions."""
    graph = models.build("par_inception", width=0.125, size=32, classes=4, stages=5)
    for wiring in ("sequential", "predictive"):
        model = pvnet.runtime.Model(graph.wire(wiring), random_weights(graph), {"task": "actions"})
        pvnet.save(model, tmp_path / f"par_inception_{wiring}.safetensors")
    module = importlib.import_module("pvnet.models.pretrained")
    monkeypatch.setattr(module, "WEIGHTS", tmp_path)


@pytest.mark.usefixtures("actions")
def test_actions_can_be_compared_too(pvnet_cli, tmp_path):
    pytest.importorskip("av")
    words = ("--model", "par_inception", *FAST, "--out", tmp_path / "d")
    done = pvnet_cli("demo", "--compare", *words, "--json")
    assert done.code == 0, done.err
    assert done.document["sides"][1]["stages"] == 5
    assert done.document["sides"][1]["pck_0_2"] is None
    assert pvnet_cli("demo", *words).code == 2  # the table is about joints


@pytest.mark.parametrize(
    "words",
    [
        ("--fps", "0"),
        ("--size", "0"),
        ("--compare", "--fps", "0"),
        ("--compare", "--slowdown", "-1"),
        ("--compare", "--lanes-simulated", "0"),
        ("--compare", "--moments", "0"),
    ],
)
def test_demo_refuses_options_out_of_range(pvnet_cli, words):
    assert pvnet_cli("demo", "--no-files", *words).code == 2


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("nothing.mp4",), "FileError"),
        (("synthetic", "--stages", "99"), "InvalidArgumentError"),
        (("synthetic", "--model", "par_densenet_demo", "--stages", "99"), "FileError"),
    ],
)
def test_failures_say_what_to_do(pvnet_cli, words, error):
    done = pvnet_cli("demo", "--no-files", "--compare", *words, "--json")
    assert done.code == 1
    assert done.document["error"]["type"] == error
