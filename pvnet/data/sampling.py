"""Which times of a video a clip shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError

Window = Literal["random", "center", "start"]
WINDOWS: tuple[str, ...] = get_args(Window)


@dataclass(frozen=True)
class Sampling:
    """A window of a video.

    Attributes:
        frames: length t, None for the whole video.
        fps: rate of the clip, None for the video's own.
        window: which one of a video: from a "random" start, or a fixed one.
    """

    frames: int | None
    fps: float | None
    window: Window

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise InvalidArgumentError(
                f"[data] frames of a clip: got {self.frames}, expected at least 1, or None for "
                "whole videos. Change frames."
            )
        if self.fps is not None and not (np.isfinite(self.fps) and self.fps > 0):
            raise InvalidArgumentError(
                f"[data] fps of a clip: got {self.fps!r}, expected a positive number, or None for "
                "the rate of each video. Change fps."
            )
        if self.window not in WINDOWS:
            raise InvalidArgumentError(
                f"[data] sampling: got {self.window!r}, expected {', '.join(WINDOWS)}. "
                "Supported values are these."
            )

    def rate(self, fps: float) -> float:
        """Frames per second of the clip, of a video of `fps`."""
        return fps if self.fps is None else self.fps

    def times(
        self, own_times_s: NDArray[np.float64], fps: float, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Times [t] to show.

        A video shorter than the clip is played again and again from where it began.

        Args:
            own_times_s: time stamps [n] of the video's frames.
            fps: its rate.
            rng: for a random start; it advances by one draw whichever window is shown.
        """
        share = float(rng.random())
        length = float(own_times_s[-1]) + 1 / fps
        rate = self.rate(fps)
        if self.frames is None:
            if self.fps is None:
                return np.asarray(own_times_s, np.float64)
            return np.arange(max(1, round(length * rate))) / rate
        span = self.frames / rate
        room = max(0.0, length - span)
        start = room * {"random": share, "center": 0.5, "start": 0.0}[self.window]
        if self.fps is None and len(own_times_s) >= self.frames:
            # At the own rate a clip begins at a frame and has every frame after it.
            free = len(own_times_s) - self.frames
            first = {"random": int(share * (free + 1)), "center": free // 2, "start": 0}
            begin = min(first[self.window], free)
            return np.asarray(own_times_s[begin : begin + self.frames], np.float64)
        times = start + np.arange(self.frames) / rate
        return np.asarray(np.mod(times, length) if span > length + 1e-9 else times, np.float64)
