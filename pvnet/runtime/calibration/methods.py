"""From counted values to a range: how much to cut off, so that what is left is stored finely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pvnet.runtime.calibration.histogram import BINS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pvnet.runtime.calibration.histogram import Histogram

Range = tuple[float, float]
Method = Literal["minmax", "percentile", "error"]
METHODS: tuple[str, ...] = get_args(Method)
METHOD: Method = "minmax"  # where none is named
PERCENTILE = 99.99

_PARTS = 4  # of a bin: its values are taken as lying evenly at these
_CANDIDATES = 96  # ends of a range that are tried
_LEAST = 1 / 16  # the smallest of them, of the largest value


def minmax(counts: Histogram, percentile: float) -> Range:  # noqa: ARG001
    """All values that came."""
    return counts.low, counts.high


def percentile(counts: Histogram, percentile: float) -> Range:
    """All but the outermost: either end leaves out at most (100 - percentile) % of the values."""
    allowed = counts.count * (100.0 - percentile) / 100.0

    def end(bins: NDArray[np.int64], most: float) -> float:
        beyond = np.cumsum(bins[::-1])[::-1]  # values in this bin or further out
        kept = int((beyond > allowed).sum())
        return min(kept * counts.width, most)

    return -end(counts.negative, -counts.low), end(counts.positive, counts.high)


def error(counts: Histogram, percentile: float) -> Range:  # noqa: ARG001
    """The range that stores all values with the least squared error."""
    if counts.width == 0.0:
        return 0.0, 0.0
    signed = counts.low < 0.0
    levels = 127 if signed else 255
    sizes, weights = _sizes(counts)
    largest = max(-counts.low, counts.high)
    ends = largest * np.linspace(1.0, _LEAST, _CANDIDATES)
    errors = [
        float(weights @ np.square(sizes - _stored(sizes, end / levels, levels))) for end in ends
    ]
    best = float(ends[int(np.argmin(errors))])  # of equals the first, which is the widest
    return max(counts.low, -best), min(counts.high, best)


def _sizes(counts: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Magnitudes that stand for the values, and how many each stands for."""
    bins = (counts.negative + counts.positive).astype(np.float64)
    used = np.flatnonzero(bins)
    parts = (np.arange(_PARTS) + 0.5) / _PARTS
    sizes = (used[:, None] + parts).ravel() * counts.width
    largest = max(-counts.low, counts.high)
    return np.minimum(sizes, largest), np.repeat(bins[used] / _PARTS, _PARTS)


def _stored(sizes: NDArray[np.float64], scale: float, levels: int) -> NDArray[np.float64]:
    return np.minimum(np.rint(sizes / scale), levels) * scale


FIND: dict[str, Callable[[Histogram, float], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "error": error,
}
assert tuple(FIND) == METHODS
assert BINS >= 256  # else bins are coarser than what is stored
