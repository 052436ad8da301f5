"""Opening videos: one iterator over frames for files, folders, cameras, URLs, synthetic videos."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, cast, get_args

from pvnet.errors import FileError, InvalidArgumentError

from .container import ContainerReader
from .folder import FolderReader
from .frame import Frame, SourceInfo, SourceStats
from .mapping import Fit
from .reader import Picture, Reader
from .resample import held_s, resampled
from .synthetic_reader import SyntheticReader
from .time_stamps import USUAL_S, Timed, TimeLine

FOLDER_FPS = 25.0
Damaged = Literal["deliver", "skip"]
DAMAGED: tuple[str, ...] = get_args(Damaged)


class Source:
    """An iterator over the frames of one video; also a context manager.

    Not thread-safe: one thread reads. After `close` the iteration has ended.

    Args:
        reader: where the pictures come from.
        name: of the source, kept in every frame.
        resample_fps: yield frames on a grid of this rate, None for the video's own frames.
        loop: begin again at the end; indices and time stamps go on.
        damaged: "deliver" pictures that show damage, marked, or "skip" them.
    """

    def __init__(
        self,
        reader: Reader,
        name: str,
        *,
        resample_fps: float | None = None,
        loop: bool = False,
        damaged: Damaged = "deliver",
    ) -> None:
        self._reader = reader
        self.name = name
        self.info: SourceInfo = reader.info
        self.stats = SourceStats()
        self._loop = loop
        self._resample_fps = resample_fps
        self._damaged = damaged
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

    def close(self) -> None:
        """Free the file or device; may be called twice."""
        self._closed = True
        self._frames.close()
        self._reader.close()

    def _run(self) -> Generator[Frame, None, None]:
        offset, index = 0.0, 0
        usual = 1.0 / self.info.fps if self.info.fps > 0 else USUAL_S
        while True:
            before, begin, end = index, 0.0, offset
            line = TimeLine(
                self._reader.pictures(self.stats), usual, self.stats, live=self.info.live
            )
            timed = self._chosen(line)
            if self._resample_fps is not None:
                live = self.info.live
                timed = resampled(timed, line, self._resample_fps, drop_only=live)
            last: Picture | None = None
            for item in timed:
                if index == before:  # the first pass begins at the container's time
                    begin = item.time_s if before else 0.0
                last, end = item.picture, offset + item.time_s - begin
                self.stats.frames += 1
                yield self._frame(item, index, end)
                index += 1
            if not self._loop:
                return
            if index == before:
                raise FileError(
                    f"[video.open] nothing to repeat in {self.name!r}: got 0 readable frames, "
                    "expected at least 1 with loop=True. Check that the video is complete."
                )
            fps = self._resample_fps
            offset = end + (held_s(last, line) if fps is None else 1.0 / fps)

    def _frame(self, item: Timed[Picture], index: int, time_s: float) -> Frame:
        picture = item.picture
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
            damaged=picture.damaged,
            jump_s=item.jump_s,
        )

    def _chosen(self, line: TimeLine[Picture]) -> Iterator[Timed[Picture]]:
        """Without damaged pictures, if so asked for; a jump before one goes to the next."""
        jump = 0.0
        for item in line:
            jump += item.jump_s
            if item.picture.damaged:
                self.stats.damaged += 1
                if self._damaged == "skip":
                    continue
            yield Timed(item.picture, item.time_s, jump)
            jump = 0.0


def open(
    source: str | int | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    loop: bool = False,
    fit: Fit = "stretch",
    keep_original: bool = False,
    options: dict[str, str] | None = None,
    timeout_s: float = 10.0,
    damaged: Damaged = "deliver",
) -> Source:
    """Open a video.

    Args:
        source: a video file; a folder of images (natural order); a camera index; a URL; or
            "synthetic", "synthetic:seed=3,size=96x128,figures=1,action=wave,frames=100" (size is
            WIDTHxHEIGHT).
        size: (h, w) every frame is resized to; None: the size of the first picture.
        fps: resample to this rate by repeating and leaving out frames (cameras: only leaving
            out); of a folder, the rate its images stand for; of a synthetic video, its rate.
        loop: begin again at the end; indices and time stamps go on.
        fit: "stretch", or "letterbox" to keep the shape with black borders.
        keep_original: keep each picture before resizing in `frame.original`.
        options: passed to FFmpeg (for example {"video_size": "640x480"} for a camera).
        timeout_s: for opening and reading a URL.
        damaged: pictures that were decoded from damaged data, or predicted from such pictures up to
            the next key frame: "deliver" them with `frame.damaged` set, or "skip" them.

    Returns:
        An iterator over `Frame`s; close it, or use it in a with statement.

    Raises:
        FileError: if the source is missing, empty, or not a video.
        InvalidArgumentError: if an argument is out of range.
        UnsupportedError: if PyAV is needed and not installed, or there is no camera support.
    """
    _check_arguments(size, fps, fit, source)
    if damaged not in DAMAGED:
        raise InvalidArgumentError(
            f"[video.open] damaged: got {damaged!r}, expected 'deliver' or 'skip'. "
            "Supported values are these two."
        )
    name = str(source)
    if isinstance(source, str) and (source == "synthetic" or source.startswith("synthetic:")):
        return Source(SyntheticReader(source, size=size, fps=fps), name, loop=loop)
    if not isinstance(source, int) and "://" not in name and Path(name).is_dir():
        folder = FolderReader(
            Path(name), size=size, fps=fps or FOLDER_FPS, fit=fit, keep_original=keep_original
        )
        return Source(folder, name, loop=loop, damaged=damaged)
    reader = ContainerReader(
        source if isinstance(source, int) else name,
        size=size,
        fps=fps,
        fit=fit,
        keep_original=keep_original,
        options=options,
        timeout_s=timeout_s,
    )
    if loop and reader.info.live:
        reader.close()
        raise InvalidArgumentError(
            f"[video.open] loop of a live source: got loop=True for {name!r}, expected False. "
            "Leave loop out."
        )
    return Source(reader, name, resample_fps=fps, loop=loop, damaged=damaged)


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
