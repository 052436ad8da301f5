"""A ball in real time: frames that arrive at a rate, and where the ball is at any moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvnet import catch
from pvnet.catch.drawing import scene

_PAUSE_PX = 6.0  # a ball waits at the top for the time of so many pixels of falling


class World:
    """One throw after the other, drawn before the clock starts.

    Args:
        seed: of the throws.
        seconds: how long the world lasts.
        fps: frames per second.
        speed: pixels of falling per second.

    Attributes:
        frames: uint8 [n, h, w, 3].
        times: float64 [n], seconds, when each frame arrives.
    """

    def __init__(self, seed: int, seconds: float, fps: float, speed: float) -> None:
        self.seconds, self._speed = seconds, speed
        self._span = (catch.FALL + _PAUSE_PX) / speed
        self._throws = catch.Throws(seed, int(np.ceil(seconds / self._span)) + 1)
        self.times = np.arange(int(seconds * fps)) / fps
        noise = np.random.default_rng(seed)
        background = scene(self._throws.scenes[0])[None]
        paddle = np.array([catch.WIDTH / 2])
        self.frames = np.concatenate(
            [catch.draw(background, self.ball(t)[None], paddle, noise) for t in self.times]
        )

    def ball(self, now_s: float) -> NDArray[np.float64]:
        """Pixel x, y at a moment."""
        index, since = divmod(max(0.0, now_s), self._span)
        fallen = np.minimum(since * self._speed - _PAUSE_PX, catch.FALL)
        return self._throws.ball(np.full(len(self._throws), fallen))[int(index)]
