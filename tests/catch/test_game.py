"""The game against scores computed by hand: networks that are exact after a known delay."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pvnet import catch
from pvnet.catch.engine import Engine, frame_by_frame, pipelined, round_robin
from pvnet.catch.score import difference, interval, rate

_SLOPE = 0.8


class _Straight(catch.Throws):
    """Balls that start at the left and go to the right by _SLOPE per pixel of falling."""

    def __init__(self, n: int = 3) -> None:
        super().__init__(1, n)

    def ball(self, fallen: Any) -> Any:
        fallen = np.maximum(fallen, 0.0)
        return np.stack([20 + _SLOPE * fallen, 5 + fallen], axis=1)


class _Exact:
    """Heatmaps at full resolution, with a bump where the frame is orange, `late` ticks ago."""

    def __init__(self, late: int) -> None:
        self._late = late
        self._seen: deque[Any] = deque(maxlen=late + 1)

    def tick(self, frames: Any) -> dict[str, Any]:
        frames = frames.astype(int)
        orange = (frames[..., 0] > 150) & (frames[..., 2] < 100)
        maps = np.full((len(frames), 1, catch.HEIGHT, catch.WIDTH), -9.0, np.float32)
        rows, columns = np.mgrid[: catch.HEIGHT, : catch.WIDTH]
        for out, found in zip(maps, orange):
            y, x = (v.mean() for v in np.nonzero(found))
            out[0] = 9 - 0.3 * ((rows - y) ** 2 + (columns - x) ** 2)
        self._seen.append(maps)
        return {"heatmaps": self._seen[0]}


def _plan(late: int = 0) -> Any:
    return SimpleNamespace(
        stream=lambda: _Exact(late),
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
    game = catch.play(_Straight(), engine, speed=speed)
    # The newest answer at the end is of a frame between delay and delay + period old.
    fresh = _SLOPE * speed * engine.delay_ms
    assert np.all(game.miss_px >= fresh - 0.6)
    assert np.all(game.miss_px <= fresh + _SLOPE * speed * engine.period_ms + 0.6)
    assert game.error_px == pytest.approx(_SLOPE * speed * engine.delay_ms, abs=0.5)


def test_the_delay_of_each_way():
    assert frame_by_frame(_plan(), 2.0).delay_ms == 2.0
    assert round_robin(_plan(), 6.0, 3).delay_ms == 6.0
    assert round_robin(_plan(), 6.0, 3).period_ms == 2.0
    assert pipelined(_plan(3), 1.5).delay_ms == 6.0


def test_extrapolation_makes_up_for_a_delay_on_a_straight_way():
    engine = pipelined(_plan(5), 2.0)
    follow = catch.play(_Straight(), engine, speed=0.5)
    straight = catch.play(_Straight(), engine, speed=0.5, policy="extrapolate")
    assert follow.miss_px.min() > 4
    assert straight.miss_px.max() < 2


def test_a_frozen_world_makes_all_ways_equal():
    ways = [frame_by_frame(_plan(), 2.0), round_robin(_plan(), 6.0, 3), pipelined(_plan(3), 1.5)]
    games = [catch.play_frozen(_Straight(), way, speed=0.5, step_ms=2.0) for way in ways]
    assert all(game.caught.all() for game in games)
    # The camera's noise differs: a way that takes more frames draws more of it.
    assert np.ptp([game.miss_px.mean() for game in games]) < 0.3


def test_a_paddle_cannot_go_faster_than_its_limit():
    game = catch.play(_Straight(), frame_by_frame(_plan(), 2.0), speed=0.5)
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
