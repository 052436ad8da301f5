"""What every kind of source implements: passes over its pictures, already resized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pvnet.video.av_import import one_thread
from pvnet.video.decoding import Decoded, SourceGoneError
from pvnet.video.frame import SourceInfo, SourceStats
from pvnet.video.mapping import Fit, Mapping
from pvnet.video.orientation import sideways, turned
from pvnet.video.planes import Planes
from pvnet.video.shape import Shape

__all__ = ["Fitter", "Image", "Picture", "Reader", "SourceGoneError"]

Image = NDArray[np.uint8]
Kept = bool | Literal["planes"]  # what becomes of pictures before resizing


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture.

    Attributes:
        image: uint8 [h, w, 3] RGB.
        time_s: its time stamp, None if it has none.
        mapping: to the picture as it is shown, before resizing.
        original: the picture before resizing.
        ready: a finished Frame with more fields than the usual ones.
        damaged: it was decoded from damaged data, or predicted from such a picture.
        duration_s: how long it is on show by the container's word, None if it does not say.
        number: its index in a pass over a source that can have gaps; 0 elsewhere.
        planes: the picture before resizing, in place of `original`.
    """

    image: Image
    time_s: float | None
    mapping: Mapping | None = None
    original: Image | None = None
    ready: Any = None
    damaged: bool = False
    duration_s: float | None = None
    number: int = 0
    planes: Planes | None = None


class Reader(Protocol):
    """A source's way to its pictures.

    It may also have:

    * `owned`: True: no picture is changed once it was given away.
    * `finish(stats)`: after a whole pass: was it whole?
    * `interrupt()`: from another thread: end the pass.
    * `take_gap()`: what was lost before the newest picture.
    * `clocked`: True: it has no time stamps but the moments at which its pictures come.
    """

    info: SourceInfo

    def pictures(self, stats: SourceStats) -> Iterator[Picture]:
        """One pass over all pictures; what goes wrong is counted in `stats`."""
        ...

    def close(self) -> None:
        """Free what is open; may be called twice."""
        ...


class Fitter:
    """Turns decoded pictures into RGB arrays of one size.

    Args:
        av: the module.
        size: (h, w) of the result, None for the size of the first picture.
        fit: "stretch" or "letterbox" (black borders keep the shape of the picture).
        keep_original: also convert the picture at its own size; "planes": or keep it as decoded,
            where it is upright, in square pixels and of the usual kind.
    """

    def __init__(
        self, av: Any, size: tuple[int, int] | None, *, fit: Fit, keep_original: Kept
    ) -> None:
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._one_thread = one_thread(av)
        self._size = size
        self._fit = fit
        self._keep = keep_original
        self._seen: tuple[int, int] | None = None

    def __call__(self, decoded: Decoded, stats: SourceStats) -> Picture:
        """Convert a decoded picture: upright, in square pixels, resized, by one step of scaling."""
        shape = decoded.shape
        shown = shape.shown
        if self._size is None:
            self._size = shown
        if self._seen is not None and self._seen != shown:
            stats.size_changes += 1
            stats.note(f"picture size changed from {self._seen} to {shown} (h, w)")
        self._seen = shown
        mapping = Mapping.fit(shown, self._size, self._fit)
        image = self._convert(decoded, mapping.inner_size)
        if mapping.inner_size != mapping.target_size:
            framed = np.zeros((*mapping.target_size, 3), np.uint8)
            (y, x), (h, w) = mapping.offset, mapping.inner_size
            framed[y : y + h, x : x + w] = image
            image = framed
        planes = self._planes(decoded) if self._keep == "planes" else None
        original = None
        if self._keep and planes is None:
            original = image if shown == self._size else self._convert(decoded, shown)
        return Picture(
            image,
            decoded.time_s,
            mapping,
            original,
            damaged=decoded.damaged,
            duration_s=decoded.duration_s,
            planes=planes,
        )

    @staticmethod
    def _planes(decoded: Decoded) -> Planes | None:
        plain = decoded.shape == Shape(decoded.shape.coded)
        return Planes.of(decoded.frame) if plain else None

    def _convert(self, decoded: Decoded, size: tuple[int, int]) -> Image:
        turn = decoded.shape.orientation
        h, w = size[::-1] if sideways(turn) else size
        rgb = self._reformatter.reformat(
            decoded.frame, width=w, height=h, format="rgb24", **self._one_thread
        )
        return turned(rgb.to_ndarray(), turn)
