"""Pictures and copied audio into an open container of PyAV."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.video.audio_copy import AudioCopy
from pvnet.video.formats import Format, encoder_options, muxer_options
from pvnet.video.palette import Palette
from pvnet.video.part_file import Pipe
from pvnet.video.planes import FORMAT, UNSAID, Planes, frame_of

_LARGEST_DENOMINATOR = 1001  # 30000/1001 and its like
_MOST_BITS_PER_S = 2**31 - 1
_MOST_FAST = 4  # threads


class Encoder:
    """One video stream, and the audio of another file beside it.

    A frame is handed on when the next one says how long it is shown.

    Args:
        av: the module.
        sink: takes the bytes.
        form: container.
        codec: encoder.
        fps: usual rate.
        size: (h, w) of the pictures.
        quality: x264's constant rate factor.
        piped: whether the sink can only append.
        audio: source of audio, None without.
        fast: rather a larger file than more of the processor's time.
        colors: what the file says about its colours, see `Planes.tags`.

    Raises:
        av.FFmpegError, ValueError: if the encoder refuses such pictures.
    """

    def __init__(
        self,
        av: Any,
        sink: Pipe,
        form: Format,
        codec: str,
        *,
        fps: float,
        size: tuple[int, int],
        quality: int,
        piped: bool,
        audio: AudioCopy | None,
        fast: bool = False,
        colors: Mapping[str, int] | None = None,
    ) -> None:
        self._av = av
        self._rate = _fraction(fps)
        self._tick_s = form.tick(codec, self._rate)
        self._audio = audio
        self._fast = fast
        self._colors = dict(colors or {})
        self._pending: Any = None
        self._durations: dict[int, int] = {}
        even = codec != "gif"
        self._pad = tuple(n % 2 if even else 0 for n in size)
        options = muxer_options(av, form, piped=piped)
        self._container = av.open(sink, "w", format=form.muxer, options=options)
        try:
            self._stream = self._make_stream(codec, size, quality, fast)
            self._palette = Palette(av, size, self._tick_s) if codec == "gif" else None
            if audio is not None:
                audio.add_to(self._container, form.muxer)
            self._container.start_encoding()
        except BaseException:
            self._container.close()
            raise

    def _make_stream(self, codec: str, size: tuple[int, int], quality: int, fast: bool) -> Any:
        h, w = size
        stream = self._container.add_stream(codec, rate=self._rate)
        stream.height, stream.width = h + self._pad[0], w + self._pad[1]
        stream.pix_fmt = "pal8" if codec == "gif" else "yuv420p"
        stream.codec_context.time_base = self._tick_s
        stream.options = encoder_options(codec, quality, fast=fast)
        for name, value in self._colors.items():
            setattr(stream.codec_context, name, value)
        if codec == "libx264":
            stream.codec_context.thread_type = "SLICE"  # frame threads hold frames back
            if fast:  # who asks for it has other work for the CPUs; slices cost some of their own
                stream.codec_context.thread_count = min(_MOST_FAST, max(1, _cpus() // 2))
        elif codec == "mpeg4":
            wanted = int(h * w * min(float(self._rate), 60.0) * 0.2)
            stream.bit_rate = min(max(400_000, wanted), _MOST_BITS_PER_S)
        return stream

    def write(self, image: NDArray[np.uint8] | Planes, time_s: Fraction) -> None:
        """Take a picture, uint8 [h, w, 3] RGB or planes, shown from a time of the file on.

        Planes are kept: they must have memory of their own.
        """
        ticks = max(round(time_s / self._tick_s), 0)
        if self._pending is not None:
            ticks = max(ticks, self._pending.pts + 1)
        frame = self._frame(image)
        frame.pts, frame.time_base = ticks, self._tick_s
        before, self._pending = self._pending, frame
        if before is not None:
            self._encode(before, ticks - before.pts)

    def _frame(self, image: NDArray[np.uint8] | Planes) -> Any:
        """A frame of the encoder's own memory."""
        if isinstance(image, Planes):
            if self._stream.pix_fmt == FORMAT and image.tags == self._colors:
                return image.frame
            image = image.rgb()
        if any(self._pad):
            image = np.pad(image, ((0, self._pad[0]), (0, self._pad[1]), (0, 0)), mode="edge")
        image = np.ascontiguousarray(image)
        if self._palette is not None:
            return self._av.VideoFrame.from_ndarray(image, format="rgb24")
        space = self._colors.get("colorspace", UNSAID)
        return frame_of(self._av, image, fast=self._fast, colorspace=space)

    def _encode(self, frame: Any, duration: int) -> None:
        self._durations[frame.pts] = duration
        if self._palette is not None:
            frame = self._palette(frame)
        for packet in self._stream.encode(frame):
            self._mux(packet)

    def _mux(self, packet: Any) -> None:
        begin = packet.pts
        packet.duration = self._durations.pop(begin, packet.duration)
        if self._audio is not None:
            self._audio.mux_until(self._container, begin * self._tick_s)
        self._container.mux(packet)

    def close(self, end_s: Fraction | None, *, whole_audio: bool) -> None:
        """Write what waits and the end of the file, and close it.

        Args:
            end_s: until when the last picture is shown; None: for one frame of the usual rate.
            whole_audio: also what follows the last picture.
        """
        try:
            if self._pending is not None:
                last, self._pending = self._pending, None
                until = last.pts * self._tick_s + 1 / self._rate if end_s is None else end_s
                end = max(round(until / self._tick_s), last.pts + 1)
                self._encode(last, end - last.pts)
                for packet in self._stream.encode():
                    self._mux(packet)
                if self._audio is not None:
                    stop = None if whole_audio else end * self._tick_s
                    self._audio.mux_until(self._container, stop)
        finally:
            self._container.close()


def _cpus() -> int:
    """CPUs that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _fraction(fps: float) -> Fraction:
    rate = Fraction(fps).limit_denominator(_LARGEST_DENOMINATOR)
    return rate or Fraction(fps).limit_denominator(10**9)
