"""Rivals of a predictive network, by the clock, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pvnet.evaluate.emission import Protocol
from pvnet.evaluate.rivals import Agreement, TickTimes, asked, compare, list_rivals, variation_of


def by_name(times: TickTimes, frame_ms: float, *, stages: int = 4, has_state: bool = False):
    found = list_rivals(times, frame_ms=frame_ms, stages=stages, has_state=has_state)
    return {r.name: (r.protocol.every, r.protocol.late, r.delay_ms) for r in found}


def test_rivals_of_two_lanes_that_gain_nothing():
    times = TickTimes(2, one_lane_ms=20, sequential_ms=10.2, pipelined_ms=10, predictive_ms=10)
    assert by_name(times, 10.0) == {
        "frame by frame": (1, 0, 10.2),  # less than 5 % over a frame's time
        "pipelined": (1, 3, 40.0),
        "round-robin": (1, 1, 20),
        "predictive": (1, 0, 10),
    }


def test_rivals_of_many_lanes_and_slow_frames():
    times = TickTimes(8, one_lane_ms=80, sequential_ms=32, pipelined_ms=10, predictive_ms=10)
    found = by_name(times, 10.0, stages=8)
    assert found["frame skipping"] == (4, 3, 32)
    assert found["round-robin"] == (1, 7, 80)
    assert found["pipelined"] == (1, 7, 80.0)
    assert "round-robin" not in by_name(times, 10.0, has_state=True)
    # A camera of 25 frames per second: sequential is in time, and pipelined waits for frames.
    slow = by_name(times, 40.0, stages=8)
    assert slow["frame by frame"] == (1, 0, 32)
    assert slow["pipelined"] == (1, 7, 290.0)
    # A camera that nobody keeps up with: pipelined takes every second frame, 8 firings deep.
    assert by_name(times, 5.0, stages=8)["pipelined"] == (2, 15, 80.0)


def test_answers_at_the_moment_asked():
    exact = np.arange(6, dtype=np.float32)[:, None]
    assert asked(exact, 6, Protocol(late=2)).ravel().tolist() == [0, 0, 0, 1, 2, 3]
    every_second = exact[::2]
    out = asked(every_second, 6, Protocol(every=2, late=1)).ravel().tolist()
    assert out == [0, 0, 0, 2, 2, 4]


def test_an_error_of_one_is_that_of_the_mean_answer():
    rng = np.random.default_rng(0)
    exact = rng.normal(5, 1, (40, 7)).astype(np.float32)
    variation = variation_of([exact])
    mean, same = Agreement(), Agreement()
    mean.add(np.broadcast_to(exact.mean(axis=0), exact.shape).astype(np.float32), exact)
    same.add(exact, exact)
    assert mean.scores(variation)["error"] == pytest.approx(1.0, rel=1e-5)
    assert same.scores(variation) == {"error": 0.0, "cosine": pytest.approx(1.0), "same_top": 1.0}


def test_a_peak_of_a_map_may_be_one_cell_away():
    exact = np.zeros((1, 2, 5, 5), np.float32)
    exact[0, :, 2, 2] = 1
    near = np.zeros_like(exact)
    near[0, 0, 3, 1] = 1
    near[0, 1, 2, 4] = 1
    agreement = Agreement()
    agreement.add(near, exact)
    assert agreement.scores(1.0)["same_top"] == 0.5


def test_late_exact_answers_of_a_ramp():
    ramp = np.arange(30, dtype=np.float32)[:, None]
    times = TickTimes(2, one_lane_ms=20, sequential_ms=20, pipelined_ms=10, predictive_ms=10)
    rivals = list_rivals(times, frame_ms=10.0, stages=3, has_state=False)

    def run(says: str, every: int):
        return [ramp[::every] + (0.5 if says == "predictive" else 0.0)]

    rows = dict(zip([r.name for r in rivals], compare(rivals, run, {"exact": 0, "predictive": 2})))
    spread = np.sqrt(np.square(ramp[2:] - ramp[2:].mean()).mean())
    assert rows["pipelined"]["error"] == pytest.approx(2 / spread, rel=1e-5)
    assert rows["round-robin"]["error"] == pytest.approx(1 / spread, rel=1e-5)
    assert rows["predictive"]["error"] == pytest.approx(0.5 / spread, rel=1e-5)
    # Every second frame, one or two ticks old in turn; even ticks have the older one.
    assert rows["frame skipping"]["error"] == pytest.approx(
        np.sqrt(np.mean([1 if t % 2 else 4 for t in range(2, 30)])) / spread, rel=1e-5
    )
    assert {row["ticks"] for row in rows.values()} == {28}
