"""Opening videos: one iterator over frames for files, folders, cameras, URLs, synthetic videos."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import cast

from pvnet.errors import FileError, InvalidArgumentError

from .address import Address
from .av_import import load_av
from .container import ContainerReader
from .folder import FolderReader
from .frame import Frame, SourceInfo, SourceStats
from .live import LiveReader, Reconnect
from .mapping import Fit
from .reader import Picture, Reader
from .synthetic_reader import SyntheticReader

FOLDER_FPS = 25.0


class Source:
    """An iterator over the frames of one video; also a context manager.

    Not thread-safe: one thread reads. After `close` the iteration has ended.

    Args:
        reader: where the pictures come from.
        name: of the source, kept in every frame.
        resample_fps: yield frames on a grid of this rate, None for the video's own frames.
        loop: begin again at the end; indices and time stamps go on.
    """

    def __init__(
        self, reader: Reader, name: str, *, resample_fps: float | None = None, loop: bool = False
    ) -> None:
        self._reader = reader
        self.name = name
        self.info: SourceInfo = reader.info
        self.stats = SourceStats()
        self._loop = loop
        self._resample_fps = resample_fps
        self._closed = False
        self._frames = self._run()

    def __repr__(self) -> str:
        i = self.info
        return f"Source({self.name!r}, {i.width}x{i.height}, {i.fps:g} fps, frames={i.n_frames})"

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._closed:
            raise StopIteration
        return next(self._frames)

    @property
    def owned(self) -> bool:
        """Whether no frame is changed once it was given away."""
        return getattr(self._reader, "owned", False)

    def interrupt(self) -> None:
        """From another thread: end the iteration, also while it waits for a picture."""
        self._closed = True
        interrupt = getattr(self._reader, "interrupt", None)
        if interrupt is not None:
            interrupt()

    def close(self) -> None:
        """Free the file or device; may be called twice."""
        self.interrupt()
        # Another thread may be inside a read that nothing interrupts; what is open ends with it.
        with contextlib.suppress(ValueError):
            self._frames.close()
        self._reader.close()

    def _run(self) -> Generator[Frame, None, None]:
        offset, index = 0.0, 0
        usual = 1.0 / self.info.fps if self.info.fps > 0 else 1.0 / 25.0
        while True:
            before, end = index, offset
            timed = self._timed(usual)
            if self._resample_fps is not None:
                timed = _resample(timed, self._resample_fps, usual, drop_only=self.info.live)
                usual_now = 1.0 / self._resample_fps
            else:
                usual_now = usual
            for picture, time_s in timed:
                end = offset + time_s + usual_now
                self.stats.seen(offset + time_s)
                yield self._frame(picture, index, offset + time_s)
                index += 1
            if hasattr(self._reader, "finish"):
                self._reader.finish(self.stats)
            if not self._loop:
                return
            if index == before:
                raise FileError(
                    f"[video.open] nothing to repeat in {self.name!r}: got 0 readable frames, "
                    "expected at least 1 with loop=True. Check that the video is complete."
                )
            offset = end

    def _frame(self, picture: Picture, index: int, time_s: float) -> Frame:
        gap = self._reader.take_gap() if hasattr(self._reader, "take_gap") else None
        if picture.ready is not None:
            done = cast(Frame, picture.ready)
            return replace(
                done, index=index, time_s=time_s, source=self.name, mapping=picture.mapping
            )
        return Frame(
            picture.image,
            index,
            time_s,
            self.name,
            mapping=picture.mapping,
            original=picture.original,
            gap=gap,
        )

    def _timed(self, usual: float) -> Iterator[tuple[Picture, float]]:
        """The pictures of a pass with strictly increasing times that begin at the container's."""
        last: float | None = None
        for picture in self._reader.pictures(self.stats):
            time_s = picture.time_s
            if time_s is None or (last is not None and time_s <= last):
                repaired = 0.0 if last is None else last + usual
                self.stats.time_repairs += 1
                self.stats.note(f"time stamp {time_s} replaced by {repaired:.6f} s")
                time_s = repaired
            last = time_s
            yield picture, time_s


def _resample(
    timed: Iterator[tuple[Picture, float]], fps: float, usual: float, *, drop_only: bool
) -> Iterator[tuple[Picture, float]]:
    """At grid times the latest picture not after them; live: pictures are only left out."""
    held: Picture | None = None
    start, k, end = 0.0, 0, 0.0
    slack = 1e-6
    for picture, time_s in timed:
        if held is None:
            start = time_s
        if drop_only:
            if time_s + slack >= start + k / fps:
                k = math.floor((time_s - start) * fps + slack) + 1
                yield picture, time_s
            held = picture
            continue
        while held is not None and start + k / fps < time_s - slack:
            yield held, start + k / fps
            k += 1
        held, end = picture, time_s + usual
    while held is not None and not drop_only and start + k / fps < end - slack:
        yield held, start + k / fps
        k += 1


def open(
    source: str | int | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    loop: bool = False,
    fit: Fit = "stretch",
    keep_original: bool = False,
    options: dict[str, str] | None = None,
    timeout_s: float | None = None,
    reconnect: Reconnect | bool | None = None,
) -> Source:
    """Open a video.

    Args:
        source: a video file; a folder of images (natural order); a camera index; a URL; a named
            pipe, or "-" for the standard input; or "synthetic",
            "synthetic:seed=3,size=96x128,figures=1,action=wave,frames=100" (size is WIDTHxHEIGHT).
        size: (h, w) every frame is resized to; None: the size of the first picture.
        fps: resample to this rate by repeating and leaving out frames (cameras: only leaving
            out); of a folder, the rate its images stand for; of a synthetic video, its rate.
        loop: begin again at the end; indices and time stamps go on.
        fit: "stretch", or "letterbox" to keep the shape with black borders.
        keep_original: keep each picture before resizing in `frame.original`.
        options: passed to FFmpeg (for example {"video_size": "640x480"} for a camera).
        timeout_s: how long a camera or a URL may take to open, and to give the next picture; None:
            10 s. Pipes are waited for without a limit unless it is given.
        reconnect: whether and how a live source that is lost is connected again; None: yes, as
            `Reconnect()` says, for cameras and URLs, not for pipes. With True or a `Reconnect`
            every URL counts as live.

    Returns:
        An iterator over `Frame`s; close it, or use it in a with statement. Live sources raise
        `SourceLostError` in the iteration when they are gone for good.

    Raises:
        FileError: if the source is missing, empty, or not a video.
        SourceLostError: if it does not answer in time.
        InvalidArgumentError: if an argument is out of range.
        UnsupportedError: if PyAV is needed and not installed, or there is no camera support.
    """
    _check_arguments(size, fps, fit, source)
    name = str(source)
    if isinstance(source, str) and (source == "synthetic" or source.startswith("synthetic:")):
        return Source(SyntheticReader(source, size=size, fps=fps), name, loop=loop)
    if not isinstance(source, int) and "://" not in name and Path(name).is_dir():
        folder = FolderReader(
            Path(name), size=size, fps=fps or FOLDER_FPS, fit=fit, keep_original=keep_original
        )
        return Source(folder, name, loop=loop)
    place = source if isinstance(source, int) else name
    load_av()  # who has no PyAV is told so first
    address = Address.of(place, timeout_s)
    asked = reconnect is True or isinstance(reconnect, Reconnect)
    if asked and address.kind in ("file", "pipe"):
        raise InvalidArgumentError(
            f"[video.open] reconnect of a {address.kind}: got {reconnect!r} for {name!r}, expected "
            "a camera or a URL. Leave reconnect out."
        )

    def connect(known_size: tuple[int, int] | None) -> ContainerReader:
        return ContainerReader(
            place,
            size=size or known_size,
            fps=fps,
            fit=fit,
            keep_original=keep_original,
            options=options,
            timeout_s=timeout_s,
            live=True if asked else None,
        )

    reader: Reader
    if address.kind == "file":
        reader = connect(None)
    else:
        reader = LiveReader(
            connect,
            name,
            open_s=address.timeout_s,
            read_s=address.timeout_s,
            reconnect=False if address.kind == "pipe" else reconnect,
        )
    if loop and reader.info.live:
        reader.close()
        raise InvalidArgumentError(
            f"[video.open] loop of a live source: got loop=True for {name!r}, expected False. "
            "Leave loop out."
        )
    return Source(reader, name, resample_fps=fps, loop=loop)


def _check_arguments(size: object, fps: float | None, fit: str, source: object) -> None:
    good = size is None or (
        isinstance(size, tuple)
        and len(size) == 2
        and all(isinstance(n, int) and n > 0 for n in size)
    )
    if not good:
        raise InvalidArgumentError(
            f"[video.open] size: got {size!r}, expected (height, width) in pixels, both positive. "
            "Pass a tuple of two ints."
        )
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InvalidArgumentError(
            f"[video.open] fps: got {fps!r}, expected a positive number. "
            "Leave it out to keep the video's own frames."
        )
    if fit not in ("stretch", "letterbox"):
        raise InvalidArgumentError(
            f"[video.open] fit: got {fit!r}, expected 'stretch' or 'letterbox'. "
            "Supported values are these two."
        )
    if isinstance(source, bool) or not isinstance(source, str | int | os.PathLike):
        raise InvalidArgumentError(
            f"[video.open] source: got {type(source).__name__}, expected str, path or int. "
            "Pass a file name, a URL, a camera index or 'synthetic'."
        )
    if isinstance(source, int) and source < 0:
        raise InvalidArgumentError(
            f"[video.open] camera index: got {source}, expected at least 0. Pass 0 for the first."
        )
