"""Files, URLs and cameras, decoded by PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pvnet.errors import FileError
from pvnet.video.address import Address, is_live
from pvnet.video.av_import import broken, load_av
from pvnet.video.complete import missing_end
from pvnet.video.decoding import Decoding, count_corrupt, frame_rate
from pvnet.video.frame import SourceInfo, SourceStats
from pvnet.video.mapping import Fit
from pvnet.video.reader import Fitter, Kept, Picture
from pvnet.video.shape import Shape, believed

# FFmpeg reads any text as a picture of a terminal; who opens a text file does not mean that.
_NOT_VIDEO = {"tty", "bin", "xbin", "adf", "idf"}


class ContainerReader:
    """Reads a file, a URL or a camera.

    Attributes:
        owned: pictures are new memory each time.

    Args:
        source: path, URL, or camera index.
        size: (h, w) of the pictures, None for their own.
        fps: asked of a camera; files keep theirs.
        fit: "stretch" or "letterbox".
        keep_original: keep the picture before resizing, as of a `Fitter`.
        options: passed to FFmpeg.
        timeout_s: for opening and reading; None: `DEFAULT_TIMEOUT_S` for cameras and URLs.
        live: True: it has no end; None: `is_live` says.

    Raises:
        FileError: if it is missing, not a video, or has no video stream.
        UnsupportedError: for cameras on a system without v4l2 or avfoundation.
    """

    owned = True

    def __init__(
        self,
        source: str | int,
        *,
        size: tuple[int, int] | None,
        fps: float | None,
        fit: Fit,
        keep_original: Kept,
        options: dict[str, str] | None,
        timeout_s: float | None = None,
        live: bool | None = None,
    ) -> None:
        self._av = load_av()
        self._name = str(source)
        self._args: dict[str, Any] = {"options": dict(options or {})}
        self._address = address = Address.of(source, timeout_s)
        self._path, self._args["format"] = address.path, address.form
        self._args["timeout"] = (address.timeout_s, address.timeout_s)
        if address.kind == "camera" and fps is not None:
            self._args["options"].setdefault("framerate", f"{fps:g}")
        if self._path.startswith(("rtsp://", "rtsps://")):
            self._args["options"].setdefault("rtsp_transport", "tcp")
        self._live = bool(live)
        self._cut_off: str | None = None  # why the last whole pass was not whole
        self._fit: tuple[tuple[int, int] | None, Fit, Kept] = (size, fit, keep_original)
        self._container: Any = self._open()
        self._live = is_live(address.kind, self._container) if live is None else live
        # MJPEG over HTTP: FFmpeg makes up 25 pictures a second, whatever comes.
        self.clocked = address.kind == "url" and self._container.format.name == "mpjpeg"
        self._pass: Decoding | None = None  # over the open container, begun to see a first picture
        self.info = self._describe()

    def _open(self) -> Any:
        try:
            container = self._av.open(self._path, **self._args)
        except broken(self._av) as error:
            raise FileError(
                f"[video.open] cannot read {self._name!r} as a video: got {self._why(error)}, "
                "expected a format that FFmpeg reads. Check that it is complete and is a video."
            ) from error
        name = container.format.name
        if name in _NOT_VIDEO or not container.streams.video:
            kinds = sorted({s.type for s in container.streams}) or ["no streams"]
            container.close()
            raise FileError(
                f"[video.open] no video in {self._name!r}: got format {name} with "
                f"{', '.join(kinds)}, expected a video stream. Pass another file."
            )
        stream = container.streams.video[0]
        if stream.codec_context is None:
            container.close()
            raise FileError(
                f"[video.open] no decoder for the video stream of {self._name!r}: got a codec that "
                "FFmpeg does not know, expected one that it decodes. Convert the file."
            )
        return container

    def _describe(self) -> SourceInfo:
        """What the header says, and the first picture of a file (a camera may be slow to begin)."""
        stream = self._container.streams.video[0]
        duration: float | None = None
        if stream.duration and stream.time_base:
            duration = float(stream.duration * stream.time_base)
        elif self._container.duration:
            duration = self._container.duration / 1e6
        if not stream.width or not stream.height:
            self._container.close()
            raise FileError(
                f"[video.open] the video stream of {self._name!r} has no picture size: got "
                f"{stream.width}x{stream.height}, expected positive numbers. "
                "Check that the file is complete."
            )
        shape = Shape((stream.height, stream.width), believed(stream.sample_aspect_ratio)[0])
        if not self._live:
            self._pass = self._decoding()
            first = self._pass.peek()
            if first is not None:
                shape = first.shape
        h, w = shape.shown
        return SourceInfo(
            width=w,
            height=h,
            fps=frame_rate(stream),
            n_frames=int(stream.frames) or None,
            duration_s=None if self._live else duration,
            live=self._live,
            coded_size=shape.coded,
            sample_aspect_ratio=float(shape.sample_aspect_ratio),
            orientation=shape.orientation,
        )

    def pictures(self, stats: SourceStats) -> Iterator[Picture]:
        """One pass over the video."""
        if self._container is None:
            self._container, self._pass = self._open(), None
        decoding = self._pass or self._decoding()
        container, self._container, self._pass = self._container, None, None
        size, how, keep = self._fit
        fitter = Fitter(self._av, size, fit=how, keep_original=keep)
        try:
            for decoded in decoding.pictures(stats):
                try:
                    picture = fitter(decoded, stats)
                except broken(self._av) as error:
                    count_corrupt(stats, f"frame at {decoded.frame.pts}: {error}")
                    continue
                yield picture
            self._compare(container, decoding)
        finally:
            container.close()

    def _decoding(self) -> Decoding:
        return Decoding(self._av, self._container, live=self._live, words=self._why)

    def _why(self, error: Exception) -> str:
        """FFmpeg calls a time-out `Immediate exit requested`."""
        if isinstance(error, self._av.error.ExitError):
            return f"no data for {self._address.timeout_s:g} s"
        return str(error)

    def _compare(self, container: Any, decoding: Decoding) -> None:
        """What a whole pass has read with what was declared: an MP4's index counts pictures."""
        self._cut_off = decoding.read_error
        if container.format.name.startswith("mov") and self._cut_off is None:
            declared = len(container.streams.video[0].index_entries)
            if decoding.n_packets < declared:
                self._cut_off = f"{decoding.n_packets} pictures of {declared} that it declares"

    def finish(self, stats: SourceStats) -> None:
        """After a whole pass: say if the video ended before its end."""
        why = self._cut_off
        if why is None and self._address.kind == "file":
            why = missing_end(self._path)
        if why is not None:
            stats.truncated = why
            stats.note(f"ends early: {why}")

    def close(self) -> None:
        """Close the file or the device."""
        if self._container is not None:
            self._container.close()
            self._container, self._pass = None, None
