"""Throws and what the camera sees of them."""

from __future__ import annotations

import numpy as np

from pvnet import catch
from pvnet.catch.drawing import scene


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
