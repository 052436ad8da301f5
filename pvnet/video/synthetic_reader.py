"""Synthetic videos behind the same door as files: "synthetic:seed=3,size=128x96"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pvnet.errors import InvalidArgumentError
from pvnet.video.frame import SourceInfo, SourceStats
from pvnet.video.mapping import Mapping
from pvnet.video.reader import Picture
from pvnet.video.synthetic import SyntheticVideo


def _size(text: str) -> tuple[int, int]:
    width, height = text.lower().split("x")
    return int(height), int(width)


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "seed": int,
    "size": _size,
    "figures": int,
    "frames": int,
    "action": str,
    "fps": float,
    "noise": float,
    "drift": float,
    "distractors": int,
}


def parse(name: str) -> dict[str, Any]:
    """Options of "synthetic" or "synthetic:key=value,..."; size is WIDTHxHEIGHT.

    Raises:
        InvalidArgumentError: for an unknown key or a value that cannot be read.
    """
    out: dict[str, Any] = {}
    _, _, rest = name.partition(":")
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, _, value = item.partition("=")
        try:
            out[key] = _OPTIONS[key](value)
        except (KeyError, ValueError) as error:
            raise InvalidArgumentError(
                f"[video.open] option of a synthetic video: got {item!r}, expected one of "
                f"{', '.join(_OPTIONS)} with a value. Write for example "
                "synthetic:seed=3,size=96x128,figures=1."
            ) from error
    return out


class SyntheticReader:
    """Renders at the size asked for, so nothing is resized.

    Args:
        name: see `parse`.
        size: (h, w), beats the one in the name; 128 x 96 without either.
        fps: beats the one in the name; 25 without either.

    Raises:
        InvalidArgumentError: for options out of range.
    """

    owned = True  # every picture is new memory

    def __init__(self, name: str, *, size: tuple[int, int] | None, fps: float | None) -> None:
        given = parse(name)
        h, w = size or given.pop("size", (128, 96))
        given.pop("size", None)
        rate = fps or given.pop("fps", 25.0)
        given.pop("fps", None)
        n = given.pop("frames", None)
        seed = given.pop("seed", 0)
        self._make: Callable[[], SyntheticVideo] = partial(
            SyntheticVideo, seed, h, w, n, fps=rate, **given
        )
        self._make()  # refuse bad options before the first frame
        self.info = SourceInfo(w, h, rate, n, None if n is None else n / rate)

    def pictures(self, stats: SourceStats) -> Iterator[Picture]:  # noqa: ARG002
        """One pass over the video, the same every time."""
        size = (self.info.height, self.info.width)
        mapping = Mapping.fit(size, size, "stretch")
        for frame in self._make():
            yield Picture(frame.image, frame.time_s, mapping, None, frame)

    def close(self) -> None:
        """Nothing is open."""
