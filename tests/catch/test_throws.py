"""Throws and what the camera sees of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pvnet import catch, runtime
from pvnet.catch.drawing import NoisePool, scene, shown
from pvnet.catch.engine import frame_by_frame


def test_a_ball_waits_then_falls_to_the_line_and_stays_in_the_picture():
    throws = catch.Throws(3, 200)
    waiting = throws.ball(np.full(200, -5.0))
    assert np.array_equal(waiting, throws.ball(np.zeros(200)))
    for fallen in np.linspace(0, catch.FALL, 30):
        ball = throws.ball(np.full(200, fallen))
        assert np.allclose(ball[:, 1], waiting[0, 1] + fallen)
        assert ball[:, 0].min() >= 3
        assert ball[:, 0].max() <= catch.WIDTH - 4
    assert np.array_equal(throws.landing(), throws.ball(np.full(200, catch.FALL))[:, 0])


def test_a_ball_moves_without_jumps_and_swerves():
    throws = catch.Throws(3, 100)
    ways = np.stack([throws.ball(np.full(100, s))[:, 0] for s in np.arange(0, catch.FALL, 0.5)])
    steps = np.diff(ways, axis=0)
    assert np.abs(steps).max() <= 1.1 * 0.5 + 1e-9
    turns = (np.abs(np.diff(steps, axis=0)) > 1e-6).any(axis=0)
    assert turns.mean() > 0.8


def test_throws_are_those_of_their_seed():
    again, other = catch.Throws(3, 50), catch.Throws(4, 50)
    assert np.array_equal(catch.Throws(3, 50).landing(), again.landing())
    assert not np.array_equal(other.landing(), again.landing())


def test_the_picture_shows_ball_and_paddle_where_they_are():
    scenes = np.zeros((1, catch.HEIGHT, catch.WIDTH, 3), np.float32)
    noise = np.random.default_rng(0)
    frame = catch.draw(scenes, np.array([[30.0, 20.0]]), np.array([60.0]), noise)[0].astype(int)
    orange = (frame[..., 0] > 150) & (frame[..., 2] < 100)
    rows, columns = np.nonzero(orange)
    assert abs(columns.mean() - 30) < 0.3
    assert abs(rows.mean() - 20) < 0.3
    columns = np.nonzero((frame > 200).all(axis=2))[1]
    assert abs(columns.mean() - 60) < 0.3
    assert columns.max() - columns.min() == 2 * catch.PADDLE_HALF - 2  # its edges are grey


def test_scenes_differ_by_throw():
    assert not np.array_equal(scene(1), scene(2))
    assert np.array_equal(scene(1), scene(1))


def test_the_noise_of_a_pool_is_normal_and_of_another_place_in_every_game():
    made = NoisePool(3).standard_normal((40, 8, 9, 3), np.float32)
    assert abs(made.mean()) < 0.05
    assert abs(made.std() - 1) < 0.05
    assert len({row.tobytes() for row in made}) == 40
    again, other = NoisePool(3), NoisePool(4)
    assert np.array_equal(made, again.standard_normal((40, 8, 9, 3), np.float32))
    assert not np.array_equal(made, again.standard_normal((40, 8, 9, 3), np.float32))
    assert not np.array_equal(made, other.standard_normal((40, 8, 9, 3), np.float32))


def test_games_side_by_side_look_as_each_alone():
    throws = catch.Throws(5, 7)
    scenes = np.stack([scene(s) for s in throws.scenes])
    ball = np.array([[3.2, 1.0], [94.0, 62.5], [-9, 5], [50, 70], [1.0, 59], [40.5, 58], [20, 9]])
    paddle = np.array([0.0, 95.0, 40.2, -12.0, 2.0, 41.0, 110.0])
    quiet = SimpleNamespace(standard_normal=lambda shape, dtype: np.zeros(shape, dtype))
    frames = catch.draw(scenes, ball, paddle, quiet)
    whole = shown(scenes, ball, paddle, (0, 0, catch.WIDTH, catch.HEIGHT))
    assert np.array_equal(frames, np.clip(whole, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("wiring", ["sequential", "pipelined", "predictive"])
def test_a_still_picture_has_its_answer_once_settled(wiring):
    plan = runtime.compile(catch.network(wiring), lanes=1)
    throws = catch.Throws(5, 2)
    scenes = np.stack([scene(s) for s in throws.scenes])
    quiet = SimpleNamespace(standard_normal=lambda shape, dtype: np.zeros(shape, dtype))
    before, still = catch.draw(scenes, throws.ball(np.array([9.0, 20])), np.full(2, 40.0), quiet)
    settle = frame_by_frame(plan, 1.0).settle_ticks
    stream = plan.stream()
    for _ in range(settle):
        stream.tick(before)
    answers = [np.asarray(stream.tick(still)["heatmaps"]).copy() for _ in range(settle + 3)]
    for answer in answers[settle:]:
        np.testing.assert_array_equal(answer, answers[settle - 1])
