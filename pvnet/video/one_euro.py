"""The One-Euro filter (Casiez, Roussel, Vogel, CHI 2012): steady at rest, quick in motion."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError


class OneEuro:
    """Smooths points over time; each coordinate on its own.

    A missing point (NaN) stays missing, and its filter begins anew when it is back.

    Args:
        min_cutoff_hz: cutoff at rest; lower is smoother.
        beta: how fast the cutoff rises with speed; higher lags less.
        speed_cutoff_hz: cutoff of the speed estimate.

    Raises:
        InvalidArgumentError: if a cutoff is not positive or beta is negative.
    """

    def __init__(
        self, min_cutoff_hz: float = 1.2, *, beta: float = 0.02, speed_cutoff_hz: float = 1.0
    ) -> None:
        if not (min_cutoff_hz > 0 and speed_cutoff_hz > 0 and beta >= 0):
            raise InvalidArgumentError(
                f"[video.OneEuro] parameters: got {min_cutoff_hz}, {beta}, {speed_cutoff_hz}, "
                "expected positive cutoffs and beta >= 0. Change them."
            )
        self._min, self._beta, self._speed_cutoff = min_cutoff_hz, beta, speed_cutoff_hz
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._value: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] | None = None
        self._time_s = -math.inf

    def __call__(self, points: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """The smoothed points.

        Args:
            points: float [...], any shape, the same at every call.
            time_s: time stamp in seconds, greater than the last one.

        Returns:
            float32 of the same shape.

        Raises:
            InvalidArgumentError: if time does not go on or the shape changes.
        """
        new = np.asarray(points, np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed, self._time_s = new.copy(), np.zeros_like(new), time_s
            return new.astype(np.float32)
        step_s = time_s - self._time_s
        if step_s <= 0 or new.shape != self._value.shape:
            raise InvalidArgumentError(
                f"[video.OneEuro] call: got time step {step_s:g} s and shape {new.shape}, "
                f"expected a positive step and shape {self._value.shape}. "
                "Call reset between videos."
            )
        first = ~np.isfinite(self._value)
        speed = np.where(first, 0.0, (new - self._value) / step_s)
        old_speed = np.where(np.isfinite(self._speed), self._speed, 0.0)
        self._speed = old_speed + _share(self._speed_cutoff, step_s) * (speed - old_speed)
        cutoff = self._min + self._beta * np.abs(self._speed)
        moved = self._value + _share(cutoff, step_s) * (new - self._value)
        self._value = np.where(first | ~np.isfinite(new), new, moved)
        self._time_s = time_s
        return np.asarray(self._value, np.float32)


def _share(cutoff_hz: float | NDArray[np.float64], step_s: float) -> NDArray[np.float64]:
    """Weight of the newest sample of a first-order low-pass."""
    x = 2 * math.pi * np.asarray(cutoff_hz) * step_s
    return np.asarray(x / (x + 1))
