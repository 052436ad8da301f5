"""Writing videos: each frame at its time, and a file that is complete or lies beside."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from pvnet import nvtx
from pvnet.errors import FileError, InvalidArgumentError, StateError, UnsupportedError
from pvnet.files import reason
from pvnet.video.audio_copy import AudioCopy
from pvnet.video.av_import import load_av
from pvnet.video.encoder import Encoder
from pvnet.video.formats import choose_codec, format_of
from pvnet.video.part_file import PartFile
from pvnet.video.planes import Planes
from pvnet.video.salvage import blank_header, cut_broken_end, playable


class VideoWriter:
    """Writes frames to the container that the file's name ends with (docs/video.md lists them).

    While it is written the file lies beside as `clip.partial.mp4`; `close` gives it its name. An
    existing file stays until then. What an error or a killed program leaves there can be played
    up to the last second or so.

    Odd sizes get one more row or column, a copy of the last, where the codec needs even ones.

    Args:
        path: of the file; its folder must exist. A device or a pipe is written directly.
        fps: frames per second, of frames without times; of others the usual rate.
        size: (h, w) of the frames.
        quality: x264's constant rate factor, 0 (lossless) to 51; smaller is better.
        audio_from: video file whose audio is copied; see `audio_copied` and `audio_left_out`.
        begin_s: the time that is the file's beginning, on the clock of the frames and the audio.
        fast: a quarter of the processor's time, for files up to twice as large.
        like: planes whose colours the file is written in.

    Raises:
        InvalidArgumentError: for a format, rate, size or quality out of range.
        UnsupportedError: without PyAV or an encoder that takes such pictures.
        FileError: if the file cannot be written, or `audio_from` not read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        *,
        size: tuple[int, int],
        quality: int = 20,
        audio_from: str | os.PathLike[str] | None = None,
        begin_s: float = 0.0,
        fast: bool = False,
        like: Planes | None = None,
    ) -> None:
        self._file: PartFile | None = None
        self._encoder: Encoder | None = None
        self._audio: AudioCopy | None = None
        self._format = format_of(path)
        h, w = size
        most = self._format.max_fps
        if not (0 < fps <= most) or h < 1 or w < 1 or not 0 <= quality <= 51:
            raise InvalidArgumentError(
                f"[video.VideoWriter] fps, size, quality: got {fps!r}, {size!r}, {quality!r}, "
                f"expected 0 < fps <= {most} ({Path(path).suffix or '.mp4'}), positive (height, "
                "width), 0 <= quality <= 51. Change the one out of range, or the format."
            )
        self._av = load_av()
        self._path = Path(path)
        self._size = (int(h), int(w))
        self._frames = 0
        self._kept: Path | None = None
        self._step_s = 1 / Fraction(fps)
        self._last_s: float | None = None
        self.codec = choose_codec(self._av, self._format, path)
        self._file = PartFile(path)
        try:
            if audio_from is not None:
                self._audio = AudioCopy(self._av, audio_from)
            self._encoder = self._open(fps, quality, fast, like)
            self._begin(begin_s)
        except BaseException:
            self._discard()
            raise

    def _open(self, fps: float, quality: int, fast: bool, like: Planes | None) -> Encoder:
        assert self._file is not None
        try:
            return Encoder(
                self._av,
                self._file.sink,
                self._format,
                self.codec,
                fps=fps,
                size=self._size,
                quality=quality,
                piped=self._file.direct,
                audio=self._audio or None,
                fast=fast,
                colors=None if like is None else like.tags,
            )
        except (self._av.FFmpegError, ValueError, MemoryError) as error:
            raise UnsupportedError(
                f"[video.VideoWriter] {self.codec} cannot write {str(self._path)!r}: got pictures "
                f"of {self._size[1]}x{self._size[0]} and {reason(error)}, expected a size that it "
                "takes. Make them smaller, or choose another format."
            ) from error

    def _begin(self, begin_s: float) -> None:
        """The audio may begin before the first picture."""
        self._check_time(begin_s, "begin_s")
        audio = self._audio.begin_s if self._audio is not None and self.audio_copied else None
        self._origin = Fraction(begin_s if audio is None else min(audio, begin_s))
        if self._audio is not None:
            self._audio.begin(self._origin, lead=self._format.edits)

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._frames

    @property
    def audio_copied(self) -> list[str]:
        """Codecs of the copied audio streams."""
        return [] if self._audio is None else list(self._audio.copied)

    @property
    def audio_left_out(self) -> list[str]:
        """A line for each audio stream that is not copied, or not to its end: which and why."""
        return [] if self._audio is None else list(self._audio.left_out)

    @property
    def kept(self) -> Path | None:
        """Where what was written lies after an error; None: nowhere, or there was none."""
        return self._kept

    @property
    def older_parts(self) -> list[Path]:
        """Files that other writers of this path left beside: they were killed, or still write."""
        return [] if self._file is None else list(self._file.others)

    def write(self, image: NDArray[np.uint8] | Planes, time_s: float | None = None) -> None:
        """Append a frame.

        Args:
            image: uint8 [h, w, 3] RGB of the writer's size, or planes that are not changed later.
            time_s: when it is shown, on the clock of `begin_s`; None: 1 / fps after the one
                before. One that is not later than the one before is shown right after it.

        Raises:
            InvalidArgumentError: for another dtype or shape, or a time that is no number.
            StateError: after `close` or an error.
            FileError: if the disk is full or fails; the message says where what was written is.
        """
        file = self._file
        if self._encoder is None or file is None:
            raise StateError(
                "[video.VideoWriter] write: got a closed writer, expected an open one. "
                "Make a new VideoWriter."
            )
        expected = (*self._size, 3)
        if isinstance(image, Planes):
            self._check_planes(image)
        elif image.dtype != np.uint8 or image.shape != expected:
            raise InvalidArgumentError(
                f"[video.VideoWriter] image: got {image.dtype} {image.shape}, expected uint8 "
                f"{expected}. Convert it, or make the writer with its size."
            )
        if time_s is not None:
            self._check_time(time_s, "time_s")
        shown = self._shown(time_s)
        try:
            with nvtx.io("write frame", self._frames):
                self._encoder.write(image, shown)
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise self._fail(error) from error
        self._frames += 1
        if file.error is not None:
            raise self._fail(file.error) from file.error

    def _check_planes(self, planes: Planes) -> None:
        if planes.shape != self._size:
            raise InvalidArgumentError(
                f"[video.VideoWriter] image: got planes of {planes.shape}, expected {self._size}. "
                "Make the writer with their size."
            )

    def _shown(self, time_s: float | None) -> Fraction:
        """When a frame is shown in the file."""
        if time_s is not None:
            self._last_s = time_s
            return Fraction(time_s) - self._origin
        if self._last_s is None:
            return self._frames * self._step_s
        self._last_s += float(self._step_s)
        return Fraction(self._last_s) - self._origin

    def close(self, end_s: float | None = None, *, whole_audio: bool = True) -> None:
        """Finish the file and give it its name; may be called twice. Without a frame there is none.

        Args:
            end_s: until when the last frame is shown; None: for 1 / fps.
            whole_audio: also what follows the last frame.

        Raises:
            FileError: if the disk is full or fails; the message says where what was written is.
        """
        file = self._file
        if file is None or self._encoder is None:
            return
        if not self._frames:
            self._discard()
            return
        if end_s is not None:
            self._check_time(end_s, "end_s")
        try:
            self._finish(end_s, whole_audio=whole_audio)
            if file.error is not None:
                raise file.error
            blank_header(file, self._format.muxer)
            file.commit()
            self._file = None
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise self._fail(file.error or error) from error

    def abandon(self) -> Path | None:
        """Finish what was written, and leave it beside under its partial name.

        Returns:
            Where it lies; None if no frame of it can be played.
        """
        if self._file is None:
            return self._kept
        file = self._file
        with contextlib.suppress(self._av.FFmpegError, OSError, ValueError):
            self._finish(None, whole_audio=False)
        self._file = None
        if file.direct:
            file.keep()
            return None
        if file.error is not None:
            with contextlib.suppress(OSError):
                cut_broken_end(file, self._format.muxer)
        if self._frames and playable(self._av, file.part):
            file.keep()
            self._kept = file.part
        else:
            file.discard()
        return self._kept

    def _finish(self, end_s: float | None, *, whole_audio: bool) -> None:
        """Close the container; whatever happens, it is closed afterwards."""
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        end = None if end_s is None else Fraction(end_s) - self._origin
        try:
            encoder.close(end, whole_audio=whole_audio)
        finally:
            if self._audio is not None:
                self._audio.close()

    def _fail(self, error: BaseException) -> FileError:
        """What is raised after an error; what was written is saved."""
        assert self._file is not None
        direct = self._file.direct
        kept = self.abandon()
        rest = "Nothing of it could be kept. "
        if direct:
            rest = ""
        elif kept is not None:
            rest = f"What was written until then is kept in {str(kept)!r}. "
        return FileError(
            f"[video.VideoWriter] cannot go on writing {str(self._path)!r}: got {reason(error)} "
            f"after {self._frames} frames, expected a disk with room that works. {rest}"
            "Make room, or choose another folder."
        )

    def _discard(self) -> None:
        with contextlib.suppress(self._av.FFmpegError, OSError, ValueError):
            self._finish(None, whole_audio=False)
        if self._audio is not None:
            self._audio.close()
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _check_time(self, time_s: float, name: str) -> None:
        if not math.isfinite(time_s):
            raise InvalidArgumentError(
                f"[video.VideoWriter] {name}: got {time_s!r}, expected seconds. "
                "Pass the time of the frame, or None."
            )

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:  # a file that was there before is worth more than half of a new one
            self.abandon()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None and not sys.is_finalizing():
            self.abandon()
