"""Reading the frames of a file that are on show at given times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import ClipError
from pvnet.video.av_import import broken, load_av
from pvnet.video.decoding import Decoded as Picture
from pvnet.video.decoding import Decoding, frame_rate
from pvnet.video.frame import SourceStats
from pvnet.video.reader import Fitter
from pvnet.video.source import open as open_video
from pvnet.video.time_stamps import TimeLine

VIDEO_ENDINGS = frozenset(
    {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts"}
)
_SLACK = 0.25  # of a frame: time stamps are rounded, to milliseconds in some containers


@dataclass(frozen=True)
class VideoFacts:
    """What the header of a video says.

    Attributes:
        size: (h, w) of its pictures in square pixels, turned as they are shown.
        fps: average frames per second.
        duration_s: length in seconds.
    """

    size: tuple[int, int]
    fps: float
    duration_s: float


@dataclass(frozen=True)
class Decoded:
    """Frames of a video.

    Attributes:
        frames: uint8 [n, h, w, 3].
        times_s: float64 [n], from the first frame of the video.
        source_size: (h, w) of its own pictures as they are shown.
        fps: its average rate.
        damaged: pieces of data that could not be decoded, and pictures left out as damaged.
    """

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    source_size: tuple[int, int]
    fps: float
    damaged: int = 0


def probe(path: Path) -> VideoFacts:
    """Size, rate and length by the header, without decoding the video (one frame for its turn).

    Raises:
        ClipError: if it is no video, is damaged, or has no length.
    """
    av = load_av()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise unusable(path, "no video stream")
            stream = container.streams.video[0]
            fps = frame_rate(stream)
            length = _duration(av, container, stream)
            picture = Decoding(av, container).peek()
            if picture is None:
                raise unusable(path, "no frame can be decoded")
            size = picture.shape.shown
    except broken(av) as error:
        if isinstance(error, ClipError):
            raise
        raise unusable(path, str(error)) from error
    if not (0 < fps < 1e4) or not 0 < length < 1e6:
        raise unusable(path, f"{fps:g} frames per second and {length:g} s")
    return VideoFacts(size, fps, length)


def _duration(av: Any, container: Any, stream: Any) -> float:
    if stream.duration and stream.time_base:
        length: float = float(stream.duration * stream.time_base)
        return length
    if container.duration:
        return float(container.duration) / float(av.time_base)
    last = 0.0
    for packet in container.demux(stream):  # no length in the header: look at the packets
        if packet.pts is not None and packet.time_base:
            last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    container.seek(0)
    return last


def decode_all(
    path: Path, *, size: tuple[int, int] | None = None, max_frames: int | None = None
) -> Decoded:
    """Every frame of a video file or of a folder of images.

    Args:
        path: file, or folder of images in natural order.
        size: (h, w) the frames are resized to, None for their own.
        max_frames: stop after so many.

    Raises:
        ClipError: if nothing can be read.
    """
    frames, times = [], []
    av = load_av()
    try:
        with open_video(str(path), size=size, damaged="drop") as source:
            for frame in source:
                frames.append(frame.image)
                times.append(frame.time_s)
                if max_frames is not None and len(frames) >= max_frames:
                    break
            info, damaged = source.info, source.stats.corrupt + source.stats.damaged
            mapping = frame.mapping if frames else None
    except broken(av) as error:
        raise unusable(path, str(error)) from error
    if not frames:
        raise unusable(path, "no frame can be decoded")
    shown = mapping.source_size if mapping is not None else (info.height, info.width)
    stamps = np.asarray(times, np.float64)
    fps = info.fps if info.fps > 0 else 25.0
    return Decoded(np.stack(frames), stamps - stamps[0], shown, fps, damaged)


def decode_at(path: Path, times_s: NDArray[np.float64], *, size: tuple[int, int]) -> Decoded:
    """For each wanted time the newest frame that is not after it.

    Args:
        path: video file.
        times_s: float64 [n] from the first frame, in any order.
        size: (h, w) the frames are resized to.

    Returns:
        `frames` [n, ...] in the order of `times_s`, and the time stamps of those frames.

    Raises:
        ClipError: if the file cannot be read or ends long before the wanted times.
    """
    order = np.argsort(times_s, kind="stable")
    wanted = np.asarray(times_s, np.float64)[order]
    av = load_av()
    try:
        reader = _Window(av, path, size)
        shots = reader.pick(wanted, seek=wanted[0] > 1.0)
        if shots is None:  # the seek went too far: from the beginning, then
            shots = _Window(av, path, size).pick(wanted, seek=False)
    except broken(av) as error:
        if isinstance(error, ClipError):
            raise
        raise unusable(path, str(error)) from error
    if not shots:
        raise unusable(path, f"no frame at {wanted[0]:.2f} s")
    if len(shots) < len(wanted):
        if len(shots) < 0.75 * len(wanted):
            raise unusable(path, f"{len(shots)} of {len(wanted)} wanted frames")
        shots += [shots[-1]] * (len(wanted) - len(shots))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    frames = np.stack([shots[k][0] for k in back])
    stamps = np.array([shots[k][1] for k in back], np.float64)
    return Decoded(frames, stamps, reader.shown, reader.fps, reader.damaged)


class _Window:
    """One pass over the part of a file that is wanted; pictures not wanted are not converted."""

    def __init__(self, av: Any, path: Path, size: tuple[int, int]) -> None:
        self._av, self._path = av, path
        self._fitter = Fitter(av, size, fit="stretch", keep_original=False)
        self._stats = SourceStats()
        self.damaged = 0
        self.shown = (0, 0)
        self.fps = 25.0

    def pick(
        self, wanted: NDArray[np.float64], *, seek: bool
    ) -> list[tuple[NDArray[np.uint8], float]] | None:
        """(picture, time) per wanted time; None if the first one begins before what was found."""
        out: list[tuple[NDArray[np.uint8], float]] = []
        with self._av.open(str(self._path)) as container:
            if not container.streams.video:
                raise unusable(self._path, "no video stream")
            stream = container.streams.video[0]
            self.fps = frame_rate(stream) or 25.0
            begin: float | None = None
            slack = _SLACK / self.fps
            if seek:
                begin = _beginning(container, stream)
                container.seek(int((begin + wanted[0]) / stream.time_base), stream=stream)
            held: Picture | None = None
            held_time = 0.0
            for picture, time_s in self._pictures(container, begin):
                if held is None and seek and time_s > wanted[0] + slack:
                    return None
                if held is not None:
                    self._take(out, held, held_time, wanted, time_s - slack)
                held, held_time = picture, time_s
                if len(out) == len(wanted):
                    return out
            if held is not None:  # the last frame is on show for one frame's time
                self._take(out, held, held_time, wanted, held_time + 1.5 / self.fps)
        return out

    def _take(
        self,
        out: list[tuple[NDArray[np.uint8], float]],
        held: Picture,
        time_s: float,
        wanted: NDArray[np.float64],
        until: float,
    ) -> None:
        """Append the picture for every wanted time before `until`."""
        image: NDArray[np.uint8] | None = None
        while len(out) < len(wanted) and wanted[len(out)] < until:
            if image is None:
                picture = self._fitter(held, self._stats)
                image = picture.image
                if picture.mapping is not None:
                    self.shown = picture.mapping.source_size
            out.append((image, time_s))

    def _pictures(self, container: Any, begin: float | None) -> Iterator[tuple[Picture, float]]:
        """The pictures that are not damaged, with times from `begin`, None: from the first one."""
        decoding = Decoding(self._av, container)
        for item in TimeLine(decoding.pictures(self._stats), 1 / self.fps, self._stats):
            if item.picture.damaged:
                self._stats.damaged += 1
            else:
                begin = item.time_s if begin is None else begin
                yield item.picture, item.time_s - begin
            self.damaged = self._stats.corrupt + self._stats.damaged


def _beginning(container: Any, stream: Any) -> float:
    """The time of the first picture, before anything has been read."""
    stamp = stream.start_time
    if container.format.name == "avi":  # counts packets from 0, and pictures not always
        first = next(container.demux(stream))
        stamp = first.dts if first.pts is None else first.pts
    return float((stamp or 0) * stream.time_base)


def unusable(path: Path, detail: str) -> ClipError:
    """The error of a video that cannot be used."""
    return ClipError(
        f"[data] {path.name} cannot be used: got {detail}, expected a video that decodes. "
        "Replace it, or leave it out."
    )
