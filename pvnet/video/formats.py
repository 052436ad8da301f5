"""Which container and codec the end of a file's name stands for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from pvnet.errors import InvalidArgumentError, UnsupportedError

# Half a second of video is on the disk at the latest when the next half begins: a killed program
# leaves a file that plays up to there.
_MP4 = {"frag_duration": "500000"}
_MATROSKA = {"cluster_time_limit": "500"}
# From this libavformat (FFmpeg 8) on, an mp4 of fragments becomes an ordinary one at its end.
_HYBRID_SINCE = 62
# Of x264's steps of quantisation, see `encoder_options`.
_COARSER, _COARSEST = 2, 51
# The standard allows no finer time base.
_FINEST_MPEG4 = Fraction(1, 60000)


@dataclass(frozen=True)
class Format:
    """What is written under a suffix.

    Attributes:
        muxer: FFmpeg's name of the container.
        codecs: encoders, the best first.
        tick_s: resolution of its time stamps; None: a constant rate, frames lie on its grid.
        max_fps: more than this it, or what plays it, cannot tell apart.
        options: of the muxer.
        edits: whether it can hold packets that are decoded and not shown before its beginning.
    """

    muxer: str
    codecs: tuple[str, ...]
    tick_s: Fraction | None
    max_fps: int
    options: Mapping[str, str] = field(default_factory=dict)
    edits: bool = False

    def tick(self, codec: str, rate: Fraction) -> Fraction:
        """Seconds of one step of the time stamps."""
        tick_s = 1 / rate if self.tick_s is None else self.tick_s
        return max(tick_s, _FINEST_MPEG4) if codec == "mpeg4" else tick_s


_H264 = ("libx264", "mpeg4")
_MP4_LIKE = {
    name: Format(muxer, _H264, Fraction(1, 90000), 10000, _MP4, True)
    for name, muxer in ((".mp4", "mp4"), (".m4v", "mp4"), (".mov", "mov"))
}
FORMATS: dict[str, Format] = {
    **_MP4_LIKE,
    ".mkv": Format("matroska", _H264, Fraction(1, 1000), 1000, _MATROSKA),
    ".webm": Format("webm", ("libvpx-vp9", "libvpx"), Fraction(1, 1000), 1000, _MATROSKA),
    ".avi": Format("avi", ("mpeg4",), None, 10000),
    ".gif": Format("gif", ("gif",), Fraction(1, 100), 50),
}
WRITTEN = ", ".join(FORMATS)


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format of a file to be written, by the end of its name.

    A device or a pipe that says nothing by its name gets an mp4.

    Raises:
        InvalidArgumentError: for an end that is not written; the message lists those that are.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS and Path(path).exists() and is_special(path):
        suffix = ".mp4"
    if suffix not in FORMATS:
        raise InvalidArgumentError(
            f"[video.VideoWriter] format of {str(path)!r}: got the end {suffix!r}, expected "
            f"one of {WRITTEN}. Choose a name that ends so."
        )
    return FORMATS[suffix]


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether it is there, and neither a file nor a folder: a device, a pipe."""
    here = Path(path)
    return here.exists() and not here.is_file() and not here.is_dir()


def choose_codec(av: Any, form: Format, path: str | os.PathLike[str]) -> str:
    """The best encoder that this FFmpeg has.

    Raises:
        UnsupportedError: if it has none.
    """
    for codec in form.codecs:
        if codec in av.codecs_available:
            return codec
    raise UnsupportedError(
        f"[video.VideoWriter] no encoder for {str(path)!r}: got an FFmpeg without "
        f"{' and '.join(form.codecs)}, expected one of them. Write another format ({WRITTEN})."
    )


def muxer_options(av: Any, form: Format, *, piped: bool) -> dict[str, str]:
    """What a muxer is told; `piped`: nothing can be mended behind."""
    options = {**form.options, "flush_packets": "1", "max_interleave_delta": "500000"}
    if "frag_duration" in options:
        hybrid = not piped and av.library_versions["libavformat"][0] >= _HYBRID_SINCE
        options["movflags"] = ("hybrid_fragmented" if hybrid else "frag_keyframe") + "+delay_moov"
    return options


def encoder_options(codec: str, quality: int, *, fast: bool = False) -> dict[str, str]:
    """What an encoder is told, `quality` being x264's constant rate factor.

    Few frames wait inside an encoder, because a killed program loses those. `fast` takes a
    quarter of the processor's time, and gives files up to twice as large at the same quality.
    """
    if codec == "libx264" and fast:
        # A constant step saves the look at a smaller picture that a rate factor needs. The filter
        # of edges would allow one coarser by one, for a tenth more of the time.
        step = min(quality + _COARSER, _COARSEST) if quality else 0
        return {"qp": str(step), "preset": "ultrafast"}
    if codec == "libx264":
        return {"crf": str(quality), "preset": "veryfast", "bf": "0", "rc-lookahead": "5"}
    if codec in ("libvpx-vp9", "libvpx"):
        crf = max(4, round(quality * 63 / 51))
        quick = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        return {"crf": str(crf), "b": "0" if codec == "libvpx-vp9" else "4M", **quick}
    return {}
