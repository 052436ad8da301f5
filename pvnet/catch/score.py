"""Catch rates with intervals; differences are paired, because all engines meet the same throws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RESAMPLED = 2000


def interval(values: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of values [n], by resampling the throws."""
    rng = np.random.default_rng(seed)
    values = np.asarray(values, np.float64)
    means = values[rng.integers(len(values), size=(_RESAMPLED, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def rate(caught: NDArray[np.bool_]) -> dict[str, float]:
    """Share of the throws that were caught, and its interval."""
    low, high = interval(caught.astype(np.float64))
    return {"rate": float(caught.mean()), "low": low, "high": high}


def difference(ours: NDArray[np.bool_], other: NDArray[np.bool_]) -> dict[str, float]:
    """Share of `ours` less that of `other` on the same throws, and its interval."""
    pairs = ours.astype(np.float64) - other.astype(np.float64)
    low, high = interval(pairs)
    return {"difference": float(pairs.mean()), "low": low, "high": high}
