"""The sound of a video file, packet by packet, beside new pictures."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from pvnet.errors import FileError
from pvnet.files import reason
from pvnet.video.av_import import broken


class AudioCopy:
    """Copies the audio streams of a file, none of them decoded.

    Args:
        av: the module.
        path: the file; without audio nothing is copied.

    Attributes:
        copied: codecs of the streams that the new file has.
        left_out: one line for each that it has not, and for what broke off.

    Raises:
        FileError: if it cannot be opened.
    """

    def __init__(self, av: Any, path: str | os.PathLike[str]) -> None:
        self._av = av
        self.copied: list[str] = []
        self.left_out: list[str] = []
        self._streams: dict[int, Any] = {}
        self._origin = Fraction(0)
        self._waiting: Any = None
        self._packets: Iterator[Any] = iter(())
        try:
            self._container: Any = av.open(os.fspath(path))
        except broken(av) as error:
            raise FileError(
                f"[video.VideoWriter] cannot read the audio of {os.fspath(path)!r}: got "
                f"{reason(error)}, expected a video file. Leave audio_from out."
            ) from error

    def __bool__(self) -> bool:
        return bool(self._container.streams.audio)

    @property
    def begin_s(self) -> float | None:
        """When the first audio stream begins; None without one."""
        begins = [
            float(stream.start_time * stream.time_base)
            for stream in self._container.streams.audio
            if stream.start_time is not None and stream.time_base
        ]
        return min(begins, default=None)

    def add_to(self, output: Any, name: str) -> None:
        """Make a stream in the output for each one that its container takes.

        Args:
            output: container of PyAV, not started.
            name: of the container.
        """
        for stream in self._container.streams.audio:
            codec = "unknown" if stream.codec_context is None else stream.codec_context.name
            # Names of codecs, not of the decoder at hand: the template has the codec's own.
            known = codec if stream.codec_context is None else stream.codec_context.codec
            names = {codec, getattr(known, "canonical_name", codec)}
            if not names & set(output.supported_codecs):
                self.left_out.append(f"{codec}: {name} does not hold it")
                continue
            try:
                self._streams[stream.index] = output.add_stream_from_template(stream)
                self.copied.append(codec)
            except broken(self._av) as error:
                self.left_out.append(f"{codec}: {reason(error)}")
        if self._streams:
            wanted = [s for s in self._container.streams.audio if s.index in self._streams]
            self._packets = self._container.demux(wanted)

    def begin(self, origin: Fraction, *, lead: bool) -> None:
        """Set the time of the source that is 0 in the new file.

        Args:
            origin: that time in seconds.
            lead: whether the new file can hold what a decoder needs before it and nobody hears;
                other containers would shift everything to make room for it.
        """
        self._origin = origin
        self._next()
        while not lead and self._waiting is not None and self._time_s() < 0:
            self._next()

    def _time_s(self) -> Fraction:
        """When the waiting packet begins in the new file."""
        return Fraction(self._waiting.pts * self._waiting.time_base - self._origin)

    def _next(self) -> None:
        """The next packet with a time stamp."""
        self._waiting = None
        try:
            for packet in self._packets:
                if packet.pts is not None and packet.dts is not None:
                    self._waiting = packet
                    return
        except broken(self._av) as error:
            self.left_out.append(f"what follows damaged audio: {reason(error)}")

    def mux_until(self, output: Any, time_s: Fraction | None) -> None:
        """Write what begins before a time of the new file; None: all."""
        while self._waiting is not None:
            packet, begin_s = self._waiting, self._time_s()
            if time_s is not None and begin_s >= time_s:
                return
            shift = round(self._origin / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self._streams[packet.stream.index]
            try:
                output.mux(packet)
            except broken(self._av) as error:
                self.left_out.append(f"audio from {float(begin_s):.1f} s on: {reason(error)}")
                self._waiting = None
                return
            self._next()

    def close(self) -> None:
        """Close the source."""
        with contextlib.suppress(*broken(self._av)):
            self._container.close()
