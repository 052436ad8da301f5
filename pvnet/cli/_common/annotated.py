"""The annotated video of `pvnet run`: each picture at the time of its frame, with the audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pvnet.cli._common.files import without_scheme
from pvnet.cli._common.progress import note
from pvnet.errors import UnsupportedError
from pvnet.video import Source, VideoWriter
from pvnet.video.av_import import load_av
from pvnet.video.formats import choose_codec, format_of
from pvnet.video.planes import Planes
from pvnet.viz.layout import resize_nearest
from pvnet.viz.part import Picture

_DEFAULT_FPS = 25.0


class AnnotatedVideo:
    """Opened with the first picture, whose size it keeps; without a picture there is no file.

    One thread writes. A signal must not come into `write` or `close`.

    Args:
        path: of the file; None writes nothing.
        source: of the frames; its audio is copied if it is a file.
        quiet: no notes.

    Raises:
        UnsupportedError: if this format cannot be written, or not at this rate.
    """

    def __init__(self, path: Path | None, source: Source, *, quiet: bool = False) -> None:
        self._path = path
        self._source = source
        self._quiet = quiet
        self._fps = source.info.fps or _DEFAULT_FPS
        self._writer: VideoWriter | None = None
        self._size = (0, 0)
        self._audio: Path | None = None
        self._no_audio: list[str] = []
        if path is None:
            return
        form = format_of(path)
        choose_codec(load_av(), form, path)
        if self._fps > form.max_fps:
            raise UnsupportedError(
                f"[run] {path} cannot hold this video: got {self._fps:g} frames per second, "
                f"expected at most {form.max_fps}. Write an .mp4."
            )
        local = Path(without_scheme(source.name))
        if local.is_file():
            self._audio = local
        elif "://" in source.name:
            self._no_audio = ["any there is: only that of a file is copied"]

    def write(self, image: Picture, time_s: float) -> None:
        """Append a picture of the source's time; one of another size is fitted."""
        if self._path is None:
            return
        if self._writer is None:
            self._size = (image.shape[0], image.shape[1])
            like = image if isinstance(image, Planes) else None
            self._writer = self._open(self._path, time_s, like)
        if (image.shape[0], image.shape[1]) != self._size:
            plain = image.rgb() if isinstance(image, Planes) else image
            image = resize_nearest(plain, *self._size)
        self._writer.write(image, time_s)

    def _open(self, path: Path, time_s: float, like: Planes | None) -> VideoWriter:
        begin_s = self._source.stats.begin_s  # frames before the first picture may be dropped
        writer = VideoWriter(
            path,
            self._fps,
            size=self._size,
            audio_from=self._audio,
            begin_s=time_s if begin_s is None else min(begin_s, time_s),
            fast=True,
            like=like,
        )
        if not self._quiet:
            for part in writer.older_parts:
                note(f"{part} is there: of a run that was killed, or of one that still writes")
            for line in [*writer.audio_left_out, *self._no_audio]:
                note(f"audio left out: {line}")
        return writer

    def close(self, *, complete: bool) -> None:
        """Give the file its name.

        Args:
            complete: whether the source came to its end; then the last picture is shown until
                there, and all of the audio is copied.
        """
        if self._writer is None:
            return
        end_s = self._end_s() if complete else None
        self._writer.close(end_s, whole_audio=complete)

    def _end_s(self) -> float | None:
        """When the source ended: by its own word where all of its frames came."""
        info, stats = self._source.info, self._source.stats
        if stats.begin_s is None or stats.last_s is None:
            return None
        end_s = stats.last_s + 1.0 / self._fps
        if info.duration_s and info.n_frames == stats.frames and not stats.corrupt:
            told_s = stats.begin_s + info.duration_s
            if told_s > stats.last_s:
                end_s = told_s
        return end_s

    def facts(self) -> dict[str, Any]:
        """What the report says about the file; None and empty without one."""
        writer = self._writer
        return {
            "out": str(self._path) if writer is not None else None,
            "out_frames": writer.frames if writer is not None else 0,
            "audio_copied": writer.audio_copied if writer is not None else [],
            "audio_left_out": [*writer.audio_left_out, *self._no_audio] if writer else [],
        }

    def abandon(self) -> None:
        """After an error: leave what was written beside, under its partial name."""
        if self._writer is None:
            return
        said = self._writer.kept is not None  # by the writer's own error
        kept = self._writer.abandon()
        if kept is not None and not said:
            note(f"what was written is kept in {kept}")
