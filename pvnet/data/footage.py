"""Unlabelled videos, decoded into memory at one size."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import video
from pvnet.data.clips import LeftOut
from pvnet.data.files.tree import Tree
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.video.av_import import broken, load_av
from pvnet.video.folder import images_in

Path_ = str | os.PathLike[str]
# With fewer videos than this, the last part of each is held out.
_BY_VIDEO = 5
_ENDLESS = 2000  # frames that are taken of a video without an end


@dataclass(frozen=True)
class Footage:
    """Stretches of video.

    Attributes:
        pieces: uint8 [t, h, w, 3] RGB each, without a cut in time.
        names: of the videos that they come from.
        fps: frames per second of each; 25 where nobody knows.
        left_out: videos that could not be used.
        how: how the videos were shared out.
    """

    pieces: tuple[NDArray[np.uint8], ...]
    names: tuple[str, ...]
    fps: tuple[float, ...]
    left_out: LeftOut = field(default_factory=LeftOut)
    how: str = "whole videos"

    @property
    def frames(self) -> int:
        """Of all pieces together."""
        return sum(len(piece) for piece in self.pieces)

    def describe(self) -> dict[str, Any]:
        """Counts and names as plain data."""
        return {
            "name": "unlabelled videos",
            "videos": list(self.names),
            "frames": self.frames,
            "how": self.how,
            "left_out": self.left_out.document(),
        }

    def split(self, share: float) -> tuple[Footage, Footage]:
        """Two parts that share no frame: all but `share` of it, and that share.

        From five videos on whole videos are held out, else the last part of each.

        Args:
            share: of the videos, or of the frames of each; 0 .. 1.
        """
        n = len(self.pieces)
        if n >= _BY_VIDEO:
            # Every so many-th one, so that a sorted list is not cut into two kinds.
            count = max(1, round(share * n))
            chosen = {round((k + 0.5) * n / count - 0.5) for k in range(count)}
            kept = [i for i in range(n) if i not in chosen]
            return self._some(kept, "whole videos"), self._some(sorted(chosen), "whole videos")
        ends = [max(1, round((1 - share) * len(piece))) for piece in self.pieces]
        first = tuple(piece[:end] for piece, end in zip(self.pieces, ends))
        last = tuple(piece[end:] for piece, end in zip(self.pieces, ends))
        whole = (self.names, self.fps, self.left_out)
        return (
            Footage(first, *whole, how="the first part of each video"),
            Footage(last, *whole, how="the last part of each video"),
        )

    def _some(self, index: Sequence[int], how: str) -> Footage:
        pieces = tuple(self.pieces[i] for i in index)
        names = tuple(self.names[i] for i in index)
        return Footage(pieces, names, tuple(self.fps[i] for i in index), self.left_out, how)


def find_videos(videos: Path_ | Sequence[Path_]) -> list[str]:
    """What a folder, a file or several of them hold, in order; a folder of images is one video.

    Raises:
        FileError: a folder without a video.
    """
    several = [videos] if isinstance(videos, str | os.PathLike) else list(videos)
    found: list[str] = []
    for each in several:
        name = os.fspath(each)
        inside = [name] if not Path(name).is_dir() else _inside(Path(name))
        if not inside:
            raise FileError(
                f"[data.footage] no video in the folder: got {name!r}, expected video files or "
                "images. Check the path."
            )
        found += inside
    return found


def _inside(folder: Path) -> list[str]:
    files = [str(path) for path in Tree(folder).files]
    return files or ([str(folder)] if images_in(folder) else [])


def read_footage(
    videos: Path_ | Sequence[Path_],
    size: tuple[int, int],
    *,
    fps: float | None = None,
    least: int = 1,
    max_bytes: int = 2**30,
) -> Footage:
    """Decodes videos; what cannot be read is left out and listed.

    Args:
        videos: a file, a folder of them (or of images), "synthetic:...", or several of these.
        size: (h, w) in pixels that frames are resized to.
        fps: frames per second to resample to, None for their own.
        least: frames that a video must have.
        max_bytes: of all frames together; every video has the same share, from its beginning.

    Raises:
        FileError: no video is usable.
        InvalidArgumentError: no frame fits into `max_bytes`.
    """
    names = find_videos(videos)
    room = max_bytes // (len(names) * size[0] * size[1] * 3)
    if room < least:
        raise InvalidArgumentError(
            f"[data.footage] the videos do not fit into memory: got {len(names)} videos and room "
            f"for {room} frames of each, expected {least} at least. Give fewer videos or a larger "
            "max_bytes."
        )
    left_out = LeftOut()
    pieces, kept, rates = [], [], []
    for name in names:
        try:
            frames, rate = _decode(name, size, fps, room)
        except FileError as error:
            left_out.add("unreadable", Path(name).name, str(error))
            continue
        if len(frames) < least:
            left_out.add("short", Path(name).name, f"{len(frames)} frames")
            continue
        pieces.append(frames)
        kept.append(Path(name).name)
        rates.append(rate)
    if not pieces:
        raise FileError(
            f"[data.footage] no video is usable: got {left_out.listed[:3]}, expected at least one "
            f"of {least} frames or more. Check the videos."
        )
    return Footage(tuple(pieces), tuple(kept), tuple(rates), left_out)


def _decode(
    name: str, size: tuple[int, int], fps: float | None, room: int
) -> tuple[NDArray[np.uint8], float]:
    synthetic = name.partition(":")[0] == "synthetic"
    errors = () if synthetic else broken(load_av())
    try:
        with video.open(name, size=size, fps=fps, damaged="drop") as source:
            limit = min(room, source.info.n_frames or _ENDLESS) if synthetic else room
            taken = [frame.image for frame in itertools.islice(source, limit)]
            rate = fps or source.info.fps
    except errors as error:
        raise FileError(
            f"[data.footage] {name} cannot be read: got {error}, expected a video. Check it."
        ) from error
    empty = np.empty((0, *size, 3), np.uint8)
    return (np.stack(taken) if taken else empty), rate if rate > 0 else 25.0
