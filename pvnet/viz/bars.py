"""Text panels over pictures: action probabilities and a status line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.video.planes import Planes
from pvnet.video.raster import Box
from pvnet.viz.font import GLYPH_HEIGHT, draw_text, text_size
from pvnet.viz.part import Part, Picture, box_of, mix, part_of, size_of
from pvnet.viz.shapes import draw_rectangle

_PANEL = (12, 15, 20)
_FIRST = (86, 204, 140)
_OTHER = (112, 134, 160)
_INK, _FAINT, _EMPTY = (255, 255, 255), (196, 202, 210), (70, 76, 86)
_RIM = (8, 10, 14)


def text_scale(image: Picture) -> int:
    """A font scale that suits the picture's size."""
    return max(1, round(min(size_of(image)) / 260))


def draw_actions(
    image: Picture,
    labels: Sequence[str],
    probabilities: ArrayLike,
    *,
    top: int = 3,
    scale: int | None = None,
    at: tuple[int, int] | None = None,
) -> None:
    """Draw the most probable actions as bars with labels, in place.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255, or planes of memory of their own.
        labels: n names.
        probabilities: [n] in 0..1; values that are not finite count as 0.
        top: how many to show.
        scale: pixels per font pixel (None: by the picture's size).
        at: (x, y) of the upper left corner of the panel (None: a corner margin).

    Raises:
        InvalidArgumentError: if there are not as many labels as probabilities.
    """
    p = np.nan_to_num(np.asarray(probabilities, np.float32).ravel(), nan=0.0)
    if len(p) != len(labels):
        raise InvalidArgumentError(
            f"[viz.draw_actions] probabilities: got {len(p)}, expected {len(labels)}, one per "
            "label. Pass the labels of this network."
        )
    order = np.argsort(-p, kind="stable")[:top]
    if len(order) == 0:
        return
    s = scale or text_scale(image)
    x0, y0 = at or (3 * s, 3 * s)
    names = [str(labels[i]).replace("_", " ") for i in order]
    wide = max(max(text_size(f"{n} 100%", scale=s)[1] for n in names), 70 * s)
    wide = min(wide, size_of(image)[1] - x0 - 8 * s)
    row = (GLYPH_HEIGHT + 6) * s
    panel = (x0, y0, x0 + wide + 5 * s, y0 + row * len(order) + 2 * s)
    values = [float(np.clip(p[i], 0, 1)) for i in order]
    with part_of(image, panel[0] - 1, panel[1] - 1, panel[2] + 1, panel[3] + 1) as part:
        if part is None:
            return
        x0, y0 = x0 - part.x, y0 - part.y
        panel = (x0, y0, x0 + wide + 5 * s, y0 + row * len(order) + 2 * s)
        color = part.ink(_PANEL)
        draw_rectangle(part.pixels, *panel, color=color, opacity=0.62, corner=2.5 * s)
        for k, (name, value) in enumerate(zip(names, values)):
            at = (x0 + 3 * s, y0 + 3 * s + k * row)
            _draw_bar(part, name, value, at=at, wide=wide, s=s, first=k == 0)


def _draw_bar(
    part: Part, name: str, value: float, *, at: tuple[int, int], wide: int, s: int, first: bool
) -> None:
    """A name, a share in per cent, and a bar of that length below."""
    image, (x, y) = part.pixels, at
    share = f"{100 * value:.0f}%"
    vw = text_size(share, scale=s)[1]
    room = max(0, (wide - vw - 2 * s) // (6 * s))
    ink = part.ink(_INK if first else _FAINT)
    draw_text(image, name[:room], at=(x, y), scale=s, shadow=0.0, color=ink)
    draw_text(image, share, at=(x + wide - vw - s, y), scale=s, shadow=0.0, color=ink)
    bar = y + (GLYPH_HEIGHT + 0.5) * s
    full = (x, bar, x + wide - s, bar + 2 * s)
    draw_rectangle(image, *full, color=part.ink(_EMPTY), opacity=0.8, corner=s)
    length = value * (wide - s)
    if length >= 0.5:
        color = part.ink(_FIRST if first else _OTHER)
        draw_rectangle(image, x, bar, x + length, bar + 2 * s, color=color, corner=s)


def draw_status(
    image: Picture,
    status: Mapping[str, object] | str,
    *,
    scale: int | None = None,
) -> None:
    """Draw a line of text along the lower edge, in place.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255, or planes of memory of their own.
        status: text, or names and values ("fps": 24.8, "stages": 5, ...), floats to one decimal.
        scale: pixels per font pixel (None: by the picture's size).
    """
    if not isinstance(status, str):
        status = "  ".join(
            f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v}" for k, v in status.items()
        )
    s = scale or text_scale(image)
    h = size_of(image)[0]
    top = h - (GLYPH_HEIGHT + 4) * s
    _draw_band(image, status, _Band(top, h + 2, (3 * s, top + 3 * s), s, 0.68))


def draw_label(image: Picture, text: str, *, scale: int | None = None) -> None:
    """Draw a caption along the upper edge, in place."""
    s = scale or text_scale(image)
    _draw_band(image, text, _Band(-2, (GLYPH_HEIGHT + 3) * s, (3 * s, 3 * s), s, 0.75))


@dataclass(frozen=True)
class _Band:
    """A band over the whole width, and where a line of text stands on it.

    Attributes:
        top: of its rows, as pixel centres.
        end: of its rows.
        at: (x, y) of the text.
        s: pixels per font pixel.
        opacity: of the band.
    """

    top: int
    end: int
    at: tuple[int, int]
    s: int
    opacity: float

    def fill(self, part: Part, width: int) -> None:
        """Draw it without text."""
        top, end = self.top - part.y, self.end - part.y
        color = part.ink(_PANEL)
        draw_rectangle(part.pixels, -2, top, width + 2, end, color=color, opacity=self.opacity)

    def write(self, part: Part, text: str) -> None:
        """Draw the text."""
        at = (self.at[0], self.at[1] - part.y)
        ink, rim = part.ink(_INK), part.ink(_RIM)
        draw_text(part.pixels, text, at=at, scale=self.s, color=ink, rim=rim)


def _draw_band(image: Picture, text: str, band: _Band) -> None:
    """A line of text on a band; of planes by a layer, which changes with the text alone."""
    w = size_of(image)[1]
    text = text[: max(0, (w - 4 * band.s) // (6 * band.s))]
    if not isinstance(image, Planes):
        part = Part(image)
        band.fill(part, w)
        band.write(part, text)
        return
    box = box_of(image, 0, band.top - 1, w, band.end + 1)
    if box is not None:
        mix(image, _written(box, image.space, band, text), *box[:2])


# Few: a layer of a large picture is a megabyte. Those that are drawn on every picture stay.
@lru_cache(maxsize=4)
def _filled(box: Box, space: int, band: _Band) -> NDArray[np.uint8]:
    """A layer with a band and no text; do not change it."""
    x0, y0, x1, y1 = box
    layer = np.zeros((y1 - y0, x1 - x0, 4), np.uint8)
    band.fill(Part(layer, x0, y0, space), x1)
    return layer


@lru_cache(maxsize=4)
def _written(box: Box, space: int, band: _Band, text: str) -> NDArray[np.uint8]:
    """The same with the text."""
    layer = _filled(box, space, band).copy()
    band.write(Part(layer, box[0], box[1], space), text)
    return layer
