"""From an open container to decoded pictures: in the order of showing, stamped, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pvnet.video import orientation
from pvnet.video.av_import import broken
from pvnet.video.avc import AvcWatch
from pvnet.video.damage import DamageTracker, Sent, Shown
from pvnet.video.frame import SourceStats
from pvnet.video.image_facts import has_resolution, orientation_tag
from pvnet.video.shape import Shape, believed
from pvnet.video.time_stamps import ShownStamps

MAX_READ_ERRORS = 50
_SLOWEST_FPS = 0.1
_COPY_OPAQUE = 1 << 7  # AV_CODEC_FLAG_COPY_OPAQUE: a frame refers to the packet it came in


class SourceGoneError(Exception):
    """Inside pvnet.video: a live source broke off; its words say how."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture.

    Attributes:
        frame: of PyAV.
        shape: how it is shown.
        time_s: its time stamp in seconds as the container has it, None without.
        damaged: it was decoded from damaged data, or predicted from such a picture.
        duration_s: how long it is on show by the container's word, None if it does not say.
    """

    frame: Any
    shape: Shape
    time_s: float | None
    damaged: bool = False
    duration_s: float | None = None


class Decoding:
    """One pass over the video of an open container, from where it stands.

    Args:
        av: the module.
        container: open for reading, with a video stream.
        live: a read error means that the source is gone, and no picture is kept back.
        words: what a read error is called.

    Attributes:
        n_packets: packets of the video that were read.
        read_error: the last thing that happened, if it was one.
    """

    def __init__(
        self,
        av: Any,
        container: Any,
        *,
        live: bool = False,
        words: Callable[[Exception], str] = str,
    ) -> None:
        self.n_packets = 0
        self.read_error: str | None = None
        self._words = words
        self._av, self._container, self._live = av, container, live
        self._stream = container.streams.video[0]
        self._context = self._stream.codec_context
        prepare(self._stream)
        self._codec = str(self._context.name)
        extradata = self._context.extradata
        self._avc = AvcWatch(extradata or b"") if self._codec == "h264" else None
        self._ratio = _ContainerRatio(self._stream)
        self._oddities: set[str] = set()
        self._order = 0
        self._stamps = ShownStamps()
        self._tracker = DamageTracker(
            intra_only=bool(getattr(self._context.codec, "intra_only", False)),
            wait=not live,
            trusted_start=self._codec == "h264",
        )
        self._stats = SourceStats()
        self._first: Decoded | None = None
        self._rest = self._decode()

    def peek(self) -> Decoded | None:
        """The first picture, which `pictures` yields all the same; None if there is none."""
        if self._first is None:
            self._first = next(self._rest, None)
        return self._first

    def pictures(self, stats: SourceStats) -> Iterator[Decoded]:
        """The pictures; what goes wrong is counted in `stats`, what went wrong before as well."""
        stats.add(self._stats)
        self._stats = stats
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._rest

    def _decode(self) -> Iterator[Decoded]:
        for packet in self._packets():
            sent = Sent(self._order, packet.dts if packet.pts is None else packet.pts)
            if packet.size:
                self._look_into(packet, sent)
                self._tracker.sent(sent.order)
                self._stamps.sent(sent)
                if packet.is_corrupt:
                    self._tracker.lost(sent.order)
                    self._stats.note(f"packet at {packet.pts}: damaged in the container")
            packet.opaque = sent
            self._order += 1
            try:
                frames = packet.decode()
            except broken(self._av) as error:
                self._tracker.lost(sent.order)
                self._stamps.lost(sent)
                count_corrupt(self._stats, f"packet at {packet.pts}: {error}")
                continue
            ratio = self._context.sample_aspect_ratio
            sent.sample_aspect_ratio = 1 / ratio if ratio and sent.resolution else ratio
            found = (Shown(f, f.opaque if isinstance(f.opaque, Sent) else sent) for f in frames)
            for shown in self._tracker.judged(found):
                yield self._finished(shown)
        for shown in self._tracker.rest():
            yield self._finished(shown)

    def _look_into(self, packet: Any, sent: Sent) -> None:
        """Facts that the decoder does not hand on."""
        if self._avc is None:
            image = memoryview(packet)
            sent.tag = orientation_tag(self._codec, image)
            sent.resolution = has_resolution(self._codec, image)
            return
        found = self._avc.follow(sent.order, bytes(packet))
        sent.clean_since = found.clean_since
        if found.gap:
            self._tracker.lost(sent.order - 0.5)
            count_corrupt(self._stats, f"pictures are missing before the packet at {packet.pts}")

    def _packets(self) -> Iterator[Any]:
        errors = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except broken(self._av) as error:
                if self._live:
                    raise SourceGoneError(self._words(error)) from error
                errors += 1
                if self.read_error is None:  # what follows without a packet is the same damage
                    count_corrupt(self._stats, f"read error: {error}")
                self.read_error = self._words(error)
                self._tracker.lost(self._order - 0.5)  # between the last packet and the next
                if errors >= MAX_READ_ERRORS:
                    return
                packets = self._container.demux(self._stream)
                continue
            if packet.size or packet.pts is not None:  # else the end, for the decoder
                self.n_packets += 1
                self.read_error = None
            yield packet

    def _finished(self, shown: Shown) -> Decoded:
        frame = shown.frame
        ratio, odd = believed(self._ratio.of(shown.sent.sample_aspect_ratio))
        turn, odd_turn = orientation.of_frame(frame, shown.sent.tag)
        for problem in filter(None, (odd, odd_turn)):
            if problem not in self._oddities:
                self._oddities.add(problem)
                self._stats.note(problem)
        stamp = self._stamps.shown(frame, shown.sent)
        base = frame.time_base or self._stream.time_base or Fraction(0)
        over, under = base.numerator, base.denominator  # products of fractions take their time
        seconds = None if stamp is None or not over else stamp * over / under
        shape = Shape((frame.height, frame.width), ratio, turn)
        length = getattr(frame, "duration", None)
        lasts = length * over / under if length else None
        return Decoded(frame, shape, seconds, shown.damaged, lasts)


def count_corrupt(stats: SourceStats, problem: str) -> None:
    """Count a piece of data that gave no picture."""
    stats.corrupt += 1
    stats.note(problem)


class _ContainerRatio:
    """The sample aspect ratio: the container's where it has one of its own, else the picture's."""

    def __init__(self, stream: Any) -> None:
        guessed: Fraction | None = stream.sample_aspect_ratio
        self._own = None if guessed == stream.codec_context.sample_aspect_ratio else guessed

    def of(self, coded: Fraction | None) -> Fraction | None:
        """For a picture whose coded ratio is this one."""
        return self._own or coded


def prepare(stream: Any) -> None:
    """Settings of a decoder that shows its faults, before the first packet.

    Frame threads hold frames back, and lose good ones together with a damaged one. With slice
    threads the H.264 decoder neither mends a damaged picture nor says that it is one.
    """
    context = stream.codec_context
    stream.thread_type = "NONE" if context.name == "h264" else "SLICE"
    context.flags |= _COPY_OPAQUE


def frame_rate(stream: Any) -> float:
    """Frames per second: the average, unless impossible stamps have spoilt it; 0 if unknown."""
    average, guessed = float(stream.average_rate or 0), float(stream.guessed_rate or 0)
    return guessed if average < _SLOWEST_FPS and guessed >= 1 else average
