"""What the name of a video stands for: a file, a pipe, a camera or a URL."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pvnet.errors import FileError, UnsupportedError

DEFAULT_TIMEOUT_S = 10.0
Kind = Literal["file", "pipe", "camera", "url"]

# These containers hide how long the video behind a URL is, or have a size that says nothing.
_SIZE_SAYS_NOTHING = {"mpjpeg", "hls", "dash", "rtsp", "sdp"}


@dataclass(frozen=True)
class Address:
    """How FFmpeg is asked for a video.

    Attributes:
        kind: what it is.
        path: FFmpeg's name for it.
        form: FFmpeg's name of the format, None to find it out.
        timeout_s: for opening, and for every picture after that; None: as long as it takes.
    """

    kind: Kind
    path: str
    form: str | None = None
    timeout_s: float | None = None

    @staticmethod
    def of(source: str | int, timeout_s: float | None = None) -> Address:
        """What a source stands for.

        Args:
            source: path, URL, camera index, or "-" for the standard input.
            timeout_s: None: 10 s for cameras and URLs; files and pipes are waited for.

        Raises:
            FileError: there is no such file or camera.
            UnsupportedError: for cameras on a system without v4l2 or avfoundation.
        """
        some_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        if isinstance(source, int):
            return Address("camera", *_camera(source), some_s)
        if source == "-" or source.startswith("pipe:"):
            return Address("pipe", "pipe:0" if source == "-" else source, None, timeout_s)
        if "://" in source and not source.startswith("file://"):
            return Address("url", source, None, some_s)
        source = source.removeprefix("file://")
        try:
            mode = Path(source).stat().st_mode
        except OSError:
            raise FileError(
                f"[video.open] no such file: got {source!r}, expected a video, a folder of "
                "images, a camera index, a URL or 'synthetic'. Check the path."
            ) from None
        if stat.S_ISFIFO(mode):
            return Address("pipe", source, None, timeout_s)
        if stat.S_ISCHR(mode) and Path(source).name.startswith("video"):
            return Address("camera", source, "v4l2", some_s)
        return Address("file", source)


def is_live(kind: Kind, container: Any) -> bool:
    """Whether the pictures of an opened source come at their own pace and without an end.

    A URL is live unless something says where it ends: the length of the answer, a number of frames,
    a duration. (Of MP4 in fragments and of MPEG-TS the duration is what has come so far.)
    """
    if kind in ("camera", "pipe"):
        return True
    if kind == "file" or container.streams.video[0].frames:
        return False
    name = container.format.name
    if container.duration and not name.startswith(("mov", "mpegts")):
        return False
    return bool(name in _SIZE_SAYS_NOTHING or container.size < 0)


def _camera(index: int) -> tuple[str, str]:
    """FFmpeg's path and format of camera `index`."""
    if sys.platform.startswith("linux"):
        path = f"/dev/video{index}"
        if not Path(path).exists():
            found = sorted(p.name for p in Path("/dev").glob("video[0-9]*"))
            raise FileError(
                f"[video.open] no camera {index}: got cameras {found or 'none'}, expected {path}. "
                "Plug it in, or pass the index of one that is there."
            )
        return path, "v4l2"
    if sys.platform == "darwin":
        return str(index), "avfoundation"
    raise UnsupportedError(
        f"[video.open] cameras by index: got platform {sys.platform}, expected linux or darwin. "
        "Pass a URL instead."
    )
