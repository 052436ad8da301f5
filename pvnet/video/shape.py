"""How the samples of a coded picture become the picture that is shown: square pixels, upright."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction

from pvnet.video import orientation

SQUARE = Fraction(1)
# Wider or narrower samples than these are no real video; closer to square is rounding.
_MOST, _LEAST = Fraction(5), Fraction(1, 200)


@dataclass(frozen=True, slots=True)
class Shape:
    """The coded shape of a picture and how it is shown.

    Attributes:
        coded: (h, w) in samples as decoded.
        sample_aspect_ratio: width of a sample over its height, as far as it is believed.
        orientation: 1 to 8, as in EXIF: how the picture is turned after that.
    """

    coded: tuple[int, int]
    sample_aspect_ratio: Fraction = SQUARE
    orientation: int = orientation.UPRIGHT

    @property
    def square(self) -> tuple[int, int]:
        """(h, w) with square pixels, not yet turned: the height stays, the width is even."""
        h, w = self.coded
        if self.sample_aspect_ratio == 1:
            return h, w
        return h, max(2, 2 * round(w * self.sample_aspect_ratio / 2))

    @property
    def shown(self) -> tuple[int, int]:
        """(h, w) in square pixels, turned as it is shown."""
        h, w = self.square
        return (w, h) if orientation.sideways(self.orientation) else (h, w)


@functools.lru_cache(64)
def believed(ratio: Fraction | None) -> tuple[Fraction, str]:
    """A sample aspect ratio as far as it can be true, and what is odd about it ("" if nothing)."""
    if ratio is None or ratio == 0:
        return SQUARE, ""
    if not 1 / _MOST <= ratio <= _MOST:
        return SQUARE, f"sample aspect ratio {ratio.numerator}:{ratio.denominator}, ignored"
    return (SQUARE if abs(ratio - 1) < _LEAST else Fraction(ratio)), ""
