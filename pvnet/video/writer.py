"""Writing mp4 files that play anywhere."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import FileError, InvalidArgumentError, StateError

from .av_import import load_av


class VideoWriter:
    """Writes frames as H.264 (MPEG-4 part 2 where x264 is missing), yuv420p, constant rate.

    Odd sizes get one more row or column, a copy of the last, because yuv420p needs even ones.

    Args:
        path: of the mp4 file; its folder must exist.
        fps: frames per second.
        size: (h, w) of the frames.
        quality: x264's constant rate factor, 0 (lossless) to 51; smaller is better.

    Raises:
        InvalidArgumentError: for a rate, size or quality out of range.
        FileError: if the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        *,
        size: tuple[int, int],
        quality: int = 20,
    ) -> None:
        h, w = size
        if not (0 < fps <= 1000) or h < 1 or w < 1 or not 0 <= quality <= 51:
            raise InvalidArgumentError(
                f"[video.VideoWriter] fps, size, quality: got {fps!r}, {size!r}, {quality!r}, "
                "expected 0 < fps <= 1000, positive (height, width), 0 <= quality <= 51. "
                "Change the one out of range."
            )
        self._av = load_av()
        self._size = (int(h), int(w))
        self._even = (h + h % 2, w + w % 2)
        self._path = Path(path)
        self._frames = 0
        try:
            self._path.open("wb").close()  # FFmpeg itself would complain only at the first frame
            self._container: Any = self._av.open(str(path), "w", format="mp4")
        except (OSError, ValueError) as error:
            raise FileError(
                f"[video.VideoWriter] cannot write {str(path)!r}: got {error}, expected a writable "
                "path. Make its folder, or choose another."
            ) from error
        self._rate = Fraction(fps).limit_denominator(1001)
        available = self._av.codecs_available
        self.codec = "libx264" if "libx264" in available else "mpeg4"
        stream = self._container.add_stream(self.codec, rate=self._rate)
        stream.height, stream.width = self._even
        stream.pix_fmt = "yuv420p"
        if self.codec == "libx264":
            stream.options = {"crf": str(quality), "preset": "veryfast"}
        else:
            stream.bit_rate = max(400_000, int(h * w * fps * 0.2))
        self._stream = stream

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._frames

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame.

        Args:
            image: uint8 [h, w, 3] RGB of the writer's size.

        Raises:
            InvalidArgumentError: for another dtype or shape.
            StateError: after `close`.
        """
        if self._container is None:
            raise StateError(
                "[video.VideoWriter] write: got a closed writer, expected an open one. "
                "Make a new VideoWriter."
            )
        expected = (*self._size, 3)
        if image.dtype != np.uint8 or image.shape != expected:
            raise InvalidArgumentError(
                f"[video.VideoWriter] image: got {image.dtype} {image.shape}, expected uint8 "
                f"{expected}. Convert it, or make the writer with its size."
            )
        pad = (self._even[0] - self._size[0], self._even[1] - self._size[1])
        if any(pad):
            image = np.pad(image, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self._frames
        frame.time_base = 1 / self._rate
        self._frames += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file; may be called twice."""
        if self._container is not None:
            container, self._container = self._container, None
            if self._frames:
                container.mux(self._stream.encode())
            container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
