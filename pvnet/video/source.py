"""Opening videos: one iterator over frames for files, folders, cameras, URLs, synthetic videos."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, cast, get_args

from pvnet import nvtx
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.video.address import Address
from pvnet.video.av_import import load_av
from pvnet.video.container import ContainerReader
from pvnet.video.folder import FolderReader
from pvnet.video.frame import Frame, Gap, SourceInfo, SourceStats
from pvnet.video.live import LiveReader, Reconnect
from pvnet.video.mapping import Fit
from pvnet.video.reader import Kept, Picture, Reader
from pvnet.video.resample import held_s, resampled
from pvnet.video.synthetic_reader import SyntheticReader
from pvnet.video.time_stamps import USUAL_S, Timed, TimeLine

FOLDER_FPS = 25.0
Damaged = Literal["deliver", "drop"]
DAMAGED: tuple[str, ...] = get_args(Damaged)


class Source:
    """An iterator over the frames of one video; also a context manager.

    Not thread-safe: one thread reads. After `close` the iteration has ended.

    Args:
        reader: where the pictures come from.
        name: of the source, kept in every frame.
        resample_fps: yield frames on a grid of this rate, None for the video's own frames.
        loop: begin again at the end; indices and time stamps go on.
        damaged: "deliver" pictures that show damage, marked, or "drop" them.
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
        self._gaps: deque[tuple[int, Gap]] = deque()  # not told yet, by picture of the pass
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
        with nvtx.io("read frame", self.stats.frames):
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
        usual = 1.0 / self.info.fps if self.info.fps > 0 else USUAL_S
        while True:
            before, begin, end = index, 0.0, offset
            line = TimeLine(self._numbered(), usual, self.stats, live=self.info.live)
            timed = self._chosen(line)
            if self._resample_fps is not None:
                live = self.info.live
                timed = resampled(timed, line, self._resample_fps, drop_only=live)
            last: Picture | None = None
            for item in timed:
                if index == before:  # the first pass begins at the container's time
                    begin = item.time_s if before else 0.0
                last, end = item.picture, offset + item.time_s - begin
                self.stats.seen(end)
                yield self._frame(item, index, end)
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
            fps = self._resample_fps
            offset = end + (held_s(last, line) if fps is None else 1.0 / fps)

    def _frame(self, item: Timed[Picture], index: int, time_s: float) -> Frame:
        picture = item.picture
        gap = self._gap_before(picture)
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
            damaged=picture.damaged,
            jump_s=item.jump_s,
            planes=picture.planes,
        )

    def _numbered(self) -> Iterator[Picture]:
        """The pictures of a pass; a gap is known by the number of the picture after it."""
        take_gap = getattr(self._reader, "take_gap", None)
        for number, picture in enumerate(self._reader.pictures(self.stats)):
            if take_gap is None:
                yield picture
                continue
            gap = take_gap()
            if gap is not None:
                self._gaps.append((number, gap))
            yield replace(picture, number=number)

    def _gap_before(self, picture: Picture) -> Gap | None:
        """What was lost before a frame; the frame after the gap may have been left out since."""
        gap = None
        while self._gaps and self._gaps[0][0] <= picture.number:
            gap = self._gaps.popleft()[1]
        return gap

    def _chosen(self, line: TimeLine[Picture]) -> Iterator[Timed[Picture]]:
        """Without damaged pictures, if so asked for; a jump before one goes to the next."""
        jump = 0.0
        for item in line:
            jump += item.jump_s
            if item.picture.damaged:
                self.stats.damaged += 1
                if self._damaged == "drop":
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
    keep_original: Kept = False,
    options: dict[str, str] | None = None,
    timeout_s: float | None = None,
    reconnect: Reconnect | bool | None = None,
    damaged: Damaged = "deliver",
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
        keep_original: keep each picture before resizing in `frame.original`; "planes": in
            `frame.planes` as decoded, without conversion, where that can be.
        options: passed to FFmpeg (for example {"video_size": "640x480"} for a camera).
        timeout_s: how long a camera or a URL may take to open, and to give the next picture; None:
            10 s. Pipes are waited for without a limit unless it is given.
        reconnect: whether and how a live source that is lost is connected again; None: yes, as
            `Reconnect()` says, for cameras and URLs, not for pipes. With True or a `Reconnect`
            every URL counts as live.
        damaged: pictures that were decoded from damaged data, or predicted from such pictures up to
            the next key frame: "deliver" them with `frame.damaged` set, or "drop" them.

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
    if str(damaged) == "skip":
        warning = "[video.open] damaged: 'skip' is called 'drop' now"
        warnings.warn(warning, FutureWarning, stacklevel=2)
        damaged = "drop"
    if damaged not in DAMAGED:
        raise InvalidArgumentError(
            f"[video.open] damaged: got {damaged!r}, expected 'deliver' or 'drop'. "
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
    target = source if isinstance(source, int) else name
    load_av()  # who has no PyAV is told so first
    address = Address.of(target, timeout_s)
    asked = reconnect is True or isinstance(reconnect, Reconnect)
    if asked and address.kind in ("file", "pipe"):
        raise InvalidArgumentError(
            f"[video.open] reconnect of a {address.kind}: got {reconnect!r} for {name!r}, expected "
            "a camera or a URL. Leave reconnect out."
        )

    def connect(known_size: tuple[int, int] | None) -> ContainerReader:
        return ContainerReader(
            target,
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
