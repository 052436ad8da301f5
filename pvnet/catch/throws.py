"""Balls that fall and swerve: where each one is after so many pixels of falling.

A path does not depend on who plays or how fast the ball is, so all engines meet the same throws.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 64, 96
BALL_RADIUS = 3.0
TOP = 5.0
PADDLE_Y = 59.0
PADDLE_HALF = 7.0
FALL = PADDLE_Y - TOP  # pixels from the start to the paddle's line
# Ends of a ball's way to the side, and the mean fall between two gusts that change it.
_LOW, _HIGH = BALL_RADIUS + 1.0, WIDTH - BALL_RADIUS - 2.0
_GUST_PX = 22.0
_STEEPEST = 1.1  # pixels to the side per pixel of falling
_GUSTS = 12


class Throws:
    """`n` seeded throws.

    Attributes:
        scenes: int64 [n], a seed for the background of each.
    """

    def __init__(self, seed: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        self.scenes = rng.integers(1 << 40, size=n)
        self._start = rng.uniform(_LOW, _HIGH, n)
        lengths = rng.exponential(_GUST_PX, (n, _GUSTS))
        lengths[:, -1] = 1e6  # no gust after the last
        slopes = rng.uniform(-_STEEPEST, _STEEPEST, (n, _GUSTS))
        self._knots = np.concatenate([np.zeros((n, 1)), np.cumsum(lengths, axis=1)], axis=1)
        sides = np.cumsum(lengths * slopes, axis=1)
        self._sides = np.concatenate([np.zeros((n, 1)), sides], axis=1)

    def __len__(self) -> int:
        return len(self._start)

    def one(self, index: int) -> Throws:
        """A single throw of them."""
        other = copy.copy(self)
        for name in ("scenes", "_start", "_knots", "_sides"):
            setattr(other, name, getattr(self, name)[index : index + 1])
        return other

    def ball(self, fallen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixel x, y, float64 [n, 2], after `fallen` [n] pixels; below 0 it waits at the top."""
        fallen = np.maximum(fallen, 0.0)
        way = np.array([np.interp(*v) for v in zip(fallen, self._knots, self._sides)])
        span = _HIGH - _LOW
        folded = np.mod(self._start - _LOW + way, 2 * span)  # walls reflect
        x = _LOW + np.where(folded > span, 2 * span - folded, folded)
        return np.stack([x, TOP + fallen], axis=1)

    def landing(self) -> NDArray[np.float64]:
        """Pixel x, float64 [n], of every ball where it meets the paddle's line."""
        return self.ball(np.full(len(self), FALL))[:, 0]
