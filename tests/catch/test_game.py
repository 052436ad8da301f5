"""The game against scores computed by hand: networks that are exact after a known delay."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from game_helpers import SLOPE, Exact, Straight

from pvnet import catch
from pvnet.catch.engine import Engine, frame_by_frame, pipelined, round_robin
from pvnet.catch.score import difference, interval, rate


def _plan(late: int = 0) -> Any:
    return SimpleNamespace(
        stream=lambda: Exact(late),
        warm_up_ticks={"heatmaps": late},
        graph=SimpleNamespace(n_stages=late + 1),
    )


@pytest.fixture(autouse=True)
def plain_scenes(monkeypatch):
    """No background: what is orange is the ball."""
    black = np.zeros((catch.HEIGHT, catch.WIDTH, 3), np.float32)
    monkeypatch.setattr("pvnet.catch.game.scene", lambda seed: black)


@pytest.mark.parametrize(
    "engine",
    [
        frame_by_frame(_plan(), 2.0),
        round_robin(_plan(), 6.0, 3),
        pipelined(_plan(3), 1.5),
    ],
    ids=lambda engine: engine.name,
)
def test_followers_miss_by_the_way_of_the_ball_while_they_wait(engine: Engine):
    speed = 0.5
    game = catch.play(Straight(), engine, speed=speed)
    # The newest answer at the end is of a frame between delay and delay + period old.
    fresh = SLOPE * speed * engine.delay_ms
    assert np.all(game.miss_px >= fresh - 0.6)
    assert np.all(game.miss_px <= fresh + SLOPE * speed * engine.period_ms + 0.6)
    assert game.error_px == pytest.approx(SLOPE * speed * engine.delay_ms, abs=0.5)


def test_the_delay_of_each_way():
    assert frame_by_frame(_plan(), 2.0).delay_ms == 2.0
    assert round_robin(_plan(), 6.0, 3).delay_ms == 6.0
    assert round_robin(_plan(), 6.0, 3).period_ms == 2.0
    assert pipelined(_plan(3), 1.5).delay_ms == 6.0


def test_extrapolation_makes_up_for_a_delay_on_a_straight_way():
    engine = pipelined(_plan(5), 2.0)
    follow = catch.play(Straight(), engine, speed=0.5)
    straight = catch.play(Straight(), engine, speed=0.5, policy="extrapolate")
    assert follow.miss_px.min() > 4
    assert straight.miss_px.max() < 2


def test_a_frozen_world_makes_all_ways_equal():
    ways = [frame_by_frame(_plan(), 2.0), round_robin(_plan(), 6.0, 3), pipelined(_plan(3), 1.5)]
    games = [catch.play_frozen(Straight(), way, speed=0.5, step_ms=2.0) for way in ways]
    assert all(game.caught.all() for game in games)
    # The camera's noise differs: a way that takes more frames draws more of it.
    assert np.ptp([game.miss_px.mean() for game in games]) < 0.3


def test_a_paddle_cannot_go_faster_than_its_limit():
    game = catch.play(Straight(), frame_by_frame(_plan(), 2.0), speed=0.5)
    times = np.array([t for t, _ in game.paddle])
    places = np.stack([x for _, x in game.paddle])
    steps, gaps = np.abs(np.diff(places, axis=0)), np.diff(times)[:, None]
    assert np.all(steps <= 2.0 * 0.5 * gaps + 1e-9)
    assert steps.max() > 0


def test_rates_and_paired_differences():
    ours = np.array([True] * 80 + [False] * 20)
    other = np.array([True] * 60 + [False] * 40)
    assert rate(ours)["rate"] == 0.8
    assert 0.70 < rate(ours)["low"] < 0.8 < rate(ours)["high"] < 0.90
    gain = difference(ours, other)
    assert gain["difference"] == pytest.approx(0.2)
    # Pairs that agree add nothing: narrower than the interval of two separate samples.
    assert gain["high"] - gain["low"] < 0.18
    assert interval(np.ones(10)) == (1.0, 1.0)
