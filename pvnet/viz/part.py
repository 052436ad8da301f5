"""Where something is drawn: a picture itself, or a layer over a part of it.

A layer holds colours times opacity, and the opacity times 255. What is drawn into it is mixed into
the picture once, at the end; nothing else of the picture changes. The colours are those of the
picture: red, green, blue, or luma and two of chroma.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.video import raster
from pvnet.video.planes import Planes
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
        planes: of the picture under a layer; None: it is of red, green and blue.
    """

    pixels: NDArray[Any]
    x: int = 0
    y: int = 0
    planes: Planes | None = None
    _known: dict[Any, Color] = field(default_factory=dict)

    def ink(self, rgb: Color) -> Color:
        """A colour in 0..255 as the pixels hold it."""
        found = self._known.get(rgb)
        if found is None:
            found = tuple(map(float, rgb)) if self.planes is None else self.planes.color(rgb)
            found += (255.0,) * (self.pixels.shape[-1] - 3)
            self._known[rgb] = found
        return found

    def paint(self, rgb: Color, opacity: float) -> Color:
        """The same where a shape of a layer lets something of the picture through."""
        return tuple([v * opacity for v in self.ink(rgb)])


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
    whole = image.y if isinstance(image, Planes) else image
    box = raster.clip_box(whole, x0, y0, x1, y1)
    if box is None:
        yield None
        return
    left, top, right, bottom = box
    if isinstance(image, Planes):  # whole pixels of chroma
        left, top, right, bottom = left & ~1, top & ~1, (right + 1) & ~1, (bottom + 1) & ~1
    layer = np.zeros((bottom - top, right - left, 4), np.uint8)
    if isinstance(image, Planes):
        yield Part(layer, left, top, image)
        _mix_planes(image, layer, left, top)
    else:
        yield Part(layer, left, top)
        _mix(image[top:bottom, left:right], layer)


def _mix(part: NDArray[Any], layer: NDArray[np.uint8]) -> None:
    """Into [h, w, 3]."""
    keep = np.bitwise_not(layer[..., 3:])
    if part.dtype == np.uint8:
        addend = np.ascontiguousarray(layer[..., :3])
        keep_and_add(part, np.repeat(keep, 3, axis=2), addend, drawer(part))
    else:
        part *= keep.astype(part.dtype) / 255
        part += layer[..., :3]


def _mix_planes(planes: Planes, layer: NDArray[np.uint8], x: int, y: int) -> None:
    """Into planes, from even coordinates on."""
    h, w = layer.shape[:2]
    cv2 = drawer(layer)
    if cv2 is not None:
        half = cv2.resize(layer, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    else:
        rows = np.add(layer[::2], layer[1::2], dtype=np.uint16)
        half = ((rows[:, ::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)
    for plane, source, channel, scale in (
        (planes.y, layer, 0, 1),
        (planes.u, half, 1, 2),
        (planes.v, half, 2, 2),
    ):
        rows_, columns = source.shape[:2]
        part = plane[y // scale : y // scale + rows_, x // scale : x // scale + columns]
        if cv2 is not None:
            keep, add = cv2.extractChannel(source, 3), cv2.extractChannel(source, channel)
            cv2.bitwise_not(keep, dst=keep)
        else:
            keep, add = np.bitwise_not(source[..., 3]), source[..., channel]
        keep_and_add(part, keep, add, cv2)


def size_of(image: Picture) -> tuple[int, int]:
    """(h, w) in pixels."""
    return image.shape[0], image.shape[1]
