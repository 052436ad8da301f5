"""Pictures as the planes of luma and chroma that decoders give and encoders take."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.video.av_import import one_thread

Plane = NDArray[np.uint8]

FORMAT = "yuv420p"
_FULL_RANGE = 2  # AVColorRange
# AVColorSpace, and weights of red and blue in luma; FFmpeg takes BT.601 where nothing is said.
BT709, UNSAID = 1, 2
_LUMA = {BT709: (0.2126, 0.0722), UNSAID: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114)}
_TAGS = ("colorspace", "color_range", "color_primaries", "color_trc")  # old PyAVs lack some


class Planes:
    """A picture of 8-bit YUV 4:2:0 in limited range and even sizes, in the memory of PyAV.

    A decoder may still predict from it: draw on a `copy`.

    Args:
        frame: of PyAV, see `Planes.of`.

    Attributes:
        frame: the same.
        y: luma, uint8 [h, w].
        u: blue less luma, uint8 [h / 2, w / 2].
        v: red less luma, uint8 [h / 2, w / 2].
    """

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.y, self.u, self.v = (_view(plane) for plane in frame.planes)

    @staticmethod
    def of(frame: Any) -> Planes | None:
        """The planes of a decoded frame; None: it is of another kind."""
        plain = frame.format.name == FORMAT and frame.color_range != _FULL_RANGE
        even = frame.width % 2 == 0 and frame.height % 2 == 0
        return Planes(frame) if plain and even and frame.colorspace in _LUMA else None

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return self.frame.height, self.frame.width

    @property
    def tags(self) -> dict[str, int]:
        """What a file must say about the colours, by names of PyAV."""
        known = {name: getattr(self.frame, name, None) for name in _TAGS}
        return {name: int(value) for name, value in known.items() if value is not None}

    def copy(self) -> Planes:
        """The same picture in memory of its own."""
        h, w = self.shape
        frame = type(self.frame)(w, h, FORMAT)
        for name, value in self.tags.items():
            setattr(frame, name, value)
        other = Planes(frame)
        for ours, theirs in zip((self.y, self.u, self.v), (other.y, other.u, other.v)):
            np.copyto(theirs, ours)
        return other

    def rgb(self) -> NDArray[np.uint8]:
        """The picture, uint8 [h, w, 3] RGB, in memory of its own."""
        return np.asarray(self.frame.reformat(format="rgb24").to_ndarray(), np.uint8)

    def color(self, rgb: Any) -> tuple[float, float, float]:
        """Luma and chroma, 0..255, of a colour in 0..255."""
        return color_in(self.space, tuple(map(float, rgb)))

    @property
    def space(self) -> int:
        """AVColorSpace: how red, green and blue make luma."""
        return int(self.frame.colorspace)


@functools.lru_cache(maxsize=256)
def color_in(space: int, rgb: tuple[float, ...]) -> tuple[float, float, float]:
    """As `Planes.color` of planes in this AVColorSpace."""
    red, blue = _LUMA[space]
    r, g, b = (v / 255 for v in rgb)
    luma = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
    return 16 + 219 * luma, 128 + 224 * u, 128 + 224 * v


def _view(plane: Any) -> Plane:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


@functools.cache
def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError:  # not there, or without a library of the system that it needs
        return None


def frame_of(av: Any, image: NDArray[np.uint8], *, fast: bool, colorspace: int = UNSAID) -> Any:
    """A frame of PyAV in yuv420p, with memory of its own.

    OpenCV takes a fifth of FFmpeg's time, and the colour of one pixel of four instead of their
    mean: seen at edges of one pixel only.

    Args:
        av: the module.
        image: uint8 [h, w, 3] RGB, contiguous, of even sizes.
        fast: prefer OpenCV.
        colorspace: AVColorSpace of the result; OpenCV knows BT.601 alone.
    """
    cv2 = _opencv() if fast and colorspace != BT709 else None
    if cv2 is None:
        frame = av.VideoFrame.from_numpy_buffer(image, "rgb24")
        space = BT709 if colorspace == BT709 else None
        return frame.reformat(format=FORMAT, dst_colorspace=space, **one_thread(av))
    return av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), FORMAT)
