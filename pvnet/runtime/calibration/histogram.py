"""How often a node's values are how large, in memory that does not grow with the video."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 4096  # of either sign


class Histogram:
    """Counts of values in bins of one width, a power of two.

    A value beyond the last bin doubles the width, and neighbours become one bin. Nothing is
    rounded then, so the counts do not depend on the order in which values come.

    Attributes:
        low: the least value that came, 0 at most.
        high: the largest one, 0 at least.
        negative: int64 [BINS], values of (-(k + 1) width, -k width]; zeros are left out.
        positive: int64 [BINS], values of (k width, (k + 1) width].
        zeros: how many values were 0.
    """

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self.negative = np.zeros(BINS, np.int64)
        self.positive = np.zeros(BINS, np.int64)
        self.zeros = 0
        self._exponent: int | None = None  # of the width; None: nothing but zeros came

    @property
    def width(self) -> float:
        """Of a bin; 0 before a value other than 0 came."""
        return 0.0 if self._exponent is None else math.ldexp(1.0, self._exponent)

    @property
    def count(self) -> int:
        """Values that came."""
        return int(self.zeros + self.negative.sum() + self.positive.sum())

    def add(self, values: NDArray[np.float32]) -> None:
        """Counts the values of an array, which has one at least.

        Raises:
            ValueError: one of them is not finite; nothing was counted.
        """
        flat = np.ravel(values)
        low, high = float(flat.min()), float(flat.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(low if math.isfinite(high) else high)
        self.low, self.high = min(self.low, low), max(self.high, high)
        largest = max(-low, high)
        if largest == 0.0:
            self.zeros += flat.size
            return
        self._widen(largest)
        # Exact: the width is a power of two, and an f32 times that loses nothing.
        scaled = flat * np.float32(math.ldexp(1.0, -self._exponent))  # type: ignore[operator]
        if low >= 0.0:
            self._count(np.ceil(scaled), self.positive)
            return
        above = scaled >= 0.0
        self._count(np.ceil(scaled[above]), self.positive)
        below = np.bincount(np.ceil(-scaled[~above]).astype(np.int64), minlength=BINS + 1)
        self.negative += below[1:]

    def _count(self, places: NDArray[np.float32], bins: NDArray[np.int64]) -> None:
        found = np.bincount(places.astype(np.int64), minlength=BINS + 1)
        self.zeros += int(found[0])
        bins += found[1:]

    def _widen(self, largest: float) -> None:
        """Bins so wide that the value has a place in them."""
        # frexp: largest <= 2^e; subnormal widths would make the scale infinite.
        mantissa, e = math.frexp(largest)
        needed = max((e - 1 if mantissa == 0.5 else e) - int(math.log2(BINS)), -126)
        if self._exponent is None:
            self._exponent = needed
        while self._exponent < needed:
            for bins in (self.negative, self.positive):
                bins[: BINS // 2] = bins[0::2] + bins[1::2]
                bins[BINS // 2 :] = 0
            self._exponent += 1
