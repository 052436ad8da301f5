"""Where something is drawn: a picture itself, or a layer over a part of it.

A layer holds colours times opacity, and the opacity times 255. What is drawn into it is mixed into
the picture once, at the end; nothing else of the picture changes. The colours are those of the
picture: red, green, blue, or luma and two of chroma.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import _core
from pvnet.video import raster
from pvnet.video.planes import Planes, color_in
from pvnet.viz.shapes import drawer, keep_and_add

Picture = NDArray[Any] | Planes
Color = tuple[float, ...]


@dataclass(frozen=True)
class Part:
    """A part of a picture to draw on.

    Attributes:
        pixels: [h, w, 3] of a picture, or a layer [h, w, 4].
        x: of its upper left corner in the picture.
        y: of its upper left corner in the picture.
        space: AVColorSpace of planes under a layer; None: a picture of red, green and blue.
    """

    pixels: NDArray[Any]
    x: int = 0
    y: int = 0
    space: int | None = None

    def ink(self, rgb: Color) -> Color:
        """A colour in 0..255 as the pixels hold it."""
        plain = tuple(map(float, rgb))
        found = plain if self.space is None else color_in(self.space, plain)
        opaque: Color = (255.0,) * (self.pixels.shape[-1] - 3)
        return found + opaque


@contextmanager
def part_of(image: Picture, x0: float, y0: float, x1: float, y1: float) -> Iterator[Part | None]:
    """What to draw on, to change pixels of a rectangle only; None: it is outside.

    Args:
        image: [h, w, 3], which is drawn on directly, or planes: on a layer.
        x0: left end, as pixel centres; the others likewise.
        y0: upper end.
        x1: right end.
        y1: lower end.
    """
    if isinstance(image, Planes):
        with layer_over(image, x0, y0, x1, y1) as layer:
            yield layer
    else:
        yield Part(image)


@contextmanager
def layer_over(image: Picture, x0: float, y0: float, x1: float, y1: float) -> Iterator[Part | None]:
    """A layer over a rectangle, as of `part_of`, on whatever picture."""
    box = box_of(image, x0, y0, x1, y1)
    if box is None:
        yield None
        return
    left, top, right, bottom = box
    layer = np.zeros((bottom - top, right - left, 4), np.uint8)
    yield Part(layer, left, top, image.space if isinstance(image, Planes) else None)
    mix(image, layer, left, top)


def box_of(image: Picture, x0: float, y0: float, x1: float, y1: float) -> raster.Box | None:
    """Of a layer over a rectangle, as of `part_of`; None: it is outside."""
    whole = image.y if isinstance(image, Planes) else image
    box = raster.clip_box(whole, x0, y0, x1, y1)
    if box is None or not isinstance(image, Planes):
        return box
    left, top, right, bottom = box
    return left & ~1, top & ~1, (right + 1) & ~1, (bottom + 1) & ~1  # whole pixels of chroma


def mix(image: Picture, layer: NDArray[np.uint8], x: int, y: int) -> None:
    """Mix a layer [h, w, 4] into a picture, its upper left corner at (x, y), inside of it.

    Each sample keeps what the opacity leaves of 255, and the layer's colour is added.
    """
    if isinstance(image, Planes):
        _core.picture.mix_layer(layer, image.y, image.u, image.v, x, y)
        return
    part = image[y : y + layer.shape[0], x : x + layer.shape[1]]
    keep = np.bitwise_not(layer[..., 3:])
    if part.dtype == np.uint8:
        addend = np.ascontiguousarray(layer[..., :3])
        keep_and_add(part, np.repeat(keep, 3, axis=2), addend, drawer(part))
    else:
        part *= keep.astype(part.dtype) / 255
        part += layer[..., :3]


def size_of(image: Picture) -> tuple[int, int]:
    """(h, w) in pixels."""
    return image.shape[0], image.shape[1]
