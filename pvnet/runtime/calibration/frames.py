"""The clips that a network is calibrated on, as what `Stream.run` takes, one after another."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pvnet import video
from pvnet.errors import InvalidArgumentError


def each_clip(clips: Any, size: tuple[int, int], fit: video.Fit) -> Iterator[Iterable[Any]]:
    """Frames of every clip; a video is open while its frames are asked for.

    Args:
        clips: a video, an array [t, ...], a data set, or several of the first two.
        size: (h, w) that videos are resized to.
        fit: how.

    Raises:
        InvalidArgumentError: something that has no frames.
    """
    for number, clip in enumerate(_several(clips)):
        frames = getattr(clip, "frames", clip)
        if isinstance(frames, str | os.PathLike):
            with contextlib.closing(video.open(os.fspath(frames), size=size, fit=fit)) as source:
                yield source
        elif isinstance(frames, Iterable) and not isinstance(frames, Mapping | bytes):
            yield frames
        else:
            raise _refused(f"clip {number}", clip)


def _several(clips: Any) -> Iterable[Any]:
    if isinstance(clips, str | os.PathLike):
        return [clips]
    if isinstance(clips, np.ndarray) and clips.ndim < 5:  # else one axis more, of clips
        return [clips]
    if _is_dataset(clips):
        return (clips.get(index, np.random.default_rng(index)) for index in range(len(clips)))
    if isinstance(clips, Iterable) and not isinstance(clips, Mapping | bytes):
        return clips
    raise _refused("clips", clips)


def _is_dataset(clips: Any) -> bool:
    """Whether it is a `pvnet.data` set: clips by number, drawn from a random state."""
    return hasattr(clips, "get") and hasattr(clips, "__len__") and not isinstance(clips, Mapping)


def _refused(what: str, got: Any) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"[calibrate] {what} cannot be run: got {type(got).__name__}, expected videos, arrays "
        "[t, h, w, c] of uint8 or [t, c, h, w] of float32, or a data set. Give some of these."
    )
