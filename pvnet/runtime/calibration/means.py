"""The mean of every channel of a node, over the frames of videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Means:
    """Sums over pixels and firings, in float64.

    Attributes:
        total: float64 [channels], of all values that came.
        count: how many came of every channel.
    """

    def __init__(self, channels: int) -> None:
        self.total = np.zeros(channels)
        self.count = 0

    def add(self, values: NDArray[np.float32]) -> None:
        """Adds the values [channels, ...] of one firing."""
        pixels = values.reshape(len(self.total), -1)
        self.total += pixels.sum(axis=1, dtype=np.float64)
        self.count += pixels.shape[1]

    def get(self) -> NDArray[np.float64]:
        """Of every channel; 0 before anything came."""
        return self.total / max(self.count, 1)
