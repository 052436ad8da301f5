"""The game in real time, on a clock that only the network's ticks move."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from game_helpers import SLOPE, Exact, Straight

from pvnet import catch
from pvnet.catch.camera import Camera
from pvnet.catch.drawing import draw, scene


class Clock:
    """Time in ms that stands still until somebody works."""

    def __init__(self) -> None:
        self.now_ms = 1000.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now_ms

    def work(self, ms: float) -> None:
        with self._lock:
            self.now_ms += ms


class Working(Exact):
    """An exact network whose ticks last."""

    def __init__(self, late: int, clock: Clock, tick_ms: float) -> None:
        super().__init__(late)
        self._clock, self._tick_ms = clock, tick_ms

    def tick(self, frames: Any) -> dict[str, Any]:
        self._clock.work(self._tick_ms)
        return super().tick(frames)


def way(clock: Clock, tick_ms: float, *, late: int = 0, workers: int = 1) -> catch.Way:
    plan: Any = SimpleNamespace(
        stream=lambda: Working(late, clock, tick_ms),
        warm_up_ticks={"heatmaps": late},
        graph=SimpleNamespace(n_stages=late + 1),
    )
    return catch.Way(f"{workers} workers, {late} late", plan, workers=workers, late=late)


@pytest.fixture(autouse=True)
def plain_scenes(monkeypatch):
    """No background: what is orange is the ball."""
    black = np.zeros((catch.HEIGHT, catch.WIDTH, 3), np.float32)
    monkeypatch.setattr("pvnet.catch.live.scene", lambda seed: black)


@pytest.mark.parametrize(("tick_ms", "late"), [(2.0, 0), (1.5, 3), (5.0, 0)])
def test_followers_miss_by_the_way_of_the_ball_while_they_wait(tick_ms, late):
    clock, speed = Clock(), 0.5
    (game,) = catch.play_live(
        Straight(), [way(clock, tick_ms, late=late)], speed=speed, clock=clock
    )
    delay_ms = (late + 1) * tick_ms
    assert game.engine.period_ms == pytest.approx(tick_ms)
    assert game.engine.delay_ms == pytest.approx(delay_ms)
    fresh = SLOPE * speed * delay_ms
    assert np.all(game.miss_px >= fresh - 0.6)
    assert np.all(game.miss_px <= fresh + SLOPE * speed * tick_ms + 0.6)
    assert game.error_px == pytest.approx(fresh, abs=0.5)


def test_ways_take_turns_and_meet_the_same_throws():
    clock, order = Clock(), []
    ways = [way(clock, 2.0), way(clock, 1.0, late=2)]
    for number, one in enumerate(ways):
        begin = one.plan.stream
        one.plan.stream = lambda begin=begin, number=number: order.append(number) or begin()
    games = catch.play_live(Straight(3), ways, speed=0.5, clock=clock)
    assert order == [0, 1, 1, 0, 0, 1]
    assert [len(game.caught) for game in games] == [3, 3]
    times = [t for t, _ in games[0].paddle]
    assert times[0] == 0
    assert times[-1] == pytest.approx(catch.FALL / 0.5)
    assert games[0].paddle[-1][1] == pytest.approx(
        np.abs(games[0].miss_px) * -1 + Straight(3).landing(), abs=1e-6
    )


def test_several_workers_share_a_game():
    clock = Clock()
    (game,) = catch.play_live(Straight(1), [way(clock, 0.5, workers=3)], speed=1.0, clock=clock)
    assert game.engine.period_ms < 3
    assert game.engine.delay_ms > 0
    assert np.isfinite(game.error_px)


def test_a_tick_that_outlasts_the_fall_has_its_period():
    clock = Clock()
    (game,) = catch.play_live(Straight(1), [way(clock, 500.0)], speed=1.0, clock=clock)
    assert game.engine.period_ms == 500.0
    assert np.isnan(game.engine.delay_ms)


def test_a_fall_that_no_frame_shows_is_lost_and_no_more():
    from pvnet.catch.live import _Throw

    clock = Clock()
    world = _Throw(Straight(), 0, speed=0.5, policy="follow", seed=0, clock=clock)
    begin = world._begin
    world._begin = lambda: (begin(), clock.work(1000))
    world.play(way(clock, 1.0))
    assert world.taken_ms == []
    assert len(world.steps_ms()) == 0
    assert world.landed == pytest.approx(catch.WIDTH / 2)


def test_an_error_of_a_worker_is_told_and_ends_the_game():
    class Broken:
        def tick(self, frames: Any) -> Any:
            raise RuntimeError("of the network")

    one = way(Clock(), 1.0, workers=3)
    one.plan.stream = Broken
    with pytest.raises(RuntimeError, match="of the network"):
        catch.play_live(Straight(1), [one], speed=0.5)


def test_an_answer_about_an_older_frame_comes_too_late():
    from pvnet.catch.live import _Throw

    clock = Clock()
    world = _Throw(Straight(), 0, speed=0.5, policy="follow", seed=0, clock=clock)
    world._begin()
    world._answer(1001.0, np.array([[40.0, 9.0]]))
    world._answer(1000.5, np.array([[90.0, 9.0]]))
    clock.work(100)
    world._look()
    assert world.landed == pytest.approx(40.0)
    assert len(world.delays_ms) == 1


def test_the_camera_sees_what_is_drawn():
    quiet: Any = SimpleNamespace(
        normal=lambda mean, spread, shape: np.zeros(shape),
        standard_normal=lambda shape, dtype: np.zeros(shape, dtype),
    )
    ground = scene(5)
    see = Camera(ground, quiet)
    for ball, paddle in (((40.3, 20.7), 50.2), ((2.0, 57.5), 4.0), ((93.5, 5.0), 95.0)):
        place = np.array(ball)
        expected = draw(ground[None], place[None], np.array([paddle]), quiet)
        np.testing.assert_array_equal(see(place, paddle), expected)


def test_one_throw_is_a_row_of_all():
    throws = catch.Throws(3, 5)
    fallen = np.full(5, 31.0)
    for index in range(5):
        one = throws.one(index)
        assert len(one) == 1
        np.testing.assert_array_equal(one.ball(fallen[:1])[0], throws.ball(fallen)[index])
        assert one.scenes[0] == throws.scenes[index]
