"""The NPZ of `pvnet label`: estimated joints of many videos; docs/data.md describes its arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.sets.keypoints import LABELS_FORMAT
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.files import whole_file

VERSION = 1


@dataclass(frozen=True)
class VideoLabels:
    """Estimated joints of one video.

    Attributes:
        name: path relative to the labelled folder, with slashes.
        size_bytes: of the file; another size means another video.
        joints: float32 [n, 13, 3] pixel x, y, visibility; NaN where nobody was found.
        time_s: float64 [n] from the first frame.
        wh: width and height of its pictures.
        fps: its average rate.
    """

    name: str
    size_bytes: int
    joints: NDArray[np.float32]
    time_s: NDArray[np.float64]
    wh: tuple[int, int]
    fps: float

    @property
    def found(self) -> NDArray[np.bool_]:
        """Frames in which somebody was found, bool [n]."""
        return np.asarray(np.isfinite(self.joints).all(axis=(1, 2)), np.bool_)


@dataclass(frozen=True)
class Labels:
    """A labels file.

    Attributes:
        videos: by name, sorted.
        errors: name to what went wrong, of videos that could not be labelled.
        estimator: what made them.
        retried: videos that another worker was given because the first had died over them; not
            kept in the file.
    """

    videos: Mapping[str, VideoLabels]
    errors: Mapping[str, str] = field(default_factory=dict)
    estimator: str = ""
    retried: tuple[str, ...] = ()


def save_labels(path: Path, labels: Labels) -> None:
    """Write a labels file, complete or not at all.

    Raises:
        FileError: if it cannot be written.
    """
    videos = [labels.videos[k] for k in sorted(labels.videos)]
    counts = [len(v.time_s) for v in videos]
    arrays: dict[str, Any] = {
        "format": np.array(LABELS_FORMAT),
        "version": np.array(VERSION),
        "estimator": np.array(labels.estimator),
        "path": np.array([v.name for v in videos], np.str_),
        "size_bytes": np.array([v.size_bytes for v in videos], np.int64),
        "offset": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "joints": np.concatenate([np.zeros((0, 13, 3), np.float32), *(v.joints for v in videos)]),
        "time_s": np.concatenate([np.zeros(0), *(v.time_s for v in videos)]),
        "wh": np.array([v.wh for v in videos], np.int32).reshape(-1, 2),
        "fps": np.array([v.fps for v in videos], np.float64),
        "error_path": np.array(sorted(labels.errors), np.str_),
        "error_text": np.array([labels.errors[k] for k in sorted(labels.errors)], np.str_),
    }
    with whole_file(path, where="label.files") as file:
        np.savez_compressed(file, **arrays)


def load_labels(path: Path) -> Labels:
    """Read a labels file.

    Raises:
        FileError: if it is missing, damaged or something else.
    """
    try:
        with np.load(path) as file:
            arrays = {k: file[k] for k in file.files}
        if str(arrays["format"]) != LABELS_FORMAT or int(arrays["version"]) > VERSION:
            raise ValueError(f"format {arrays['format']} {arrays['version']}")
        videos = {}
        for k, name in enumerate(arrays["path"]):
            rows = slice(int(arrays["offset"][k]), int(arrays["offset"][k + 1]))
            videos[str(name)] = VideoLabels(
                str(name),
                int(arrays["size_bytes"][k]),
                arrays["joints"][rows],
                arrays["time_s"][rows],
                (int(arrays["wh"][k, 0]), int(arrays["wh"][k, 1])),
                float(arrays["fps"][k]),
            )
        errors = {str(a): str(b) for a, b in zip(arrays["error_path"], arrays["error_text"])}
        return Labels(videos, errors, str(arrays["estimator"]))
    except (OSError, KeyError, ValueError, IndexError, EOFError) as error:
        raise FileError(
            f"[label.files] {path} is not a labels file: got {type(error).__name__} {error}, "
            f"expected {LABELS_FORMAT} of version {VERSION} or older. Make it with pvnet label."
        ) from error


def merge_labels(parts: Sequence[Labels]) -> Labels:
    """Labels of several shards as one; a video labelled in one shard is no error of another.

    Raises:
        InvalidArgumentError: if shards of different estimators or no shards are given.
    """
    makers = sorted({p.estimator for p in parts})
    if len(makers) != 1:
        raise InvalidArgumentError(
            f"[label.files] estimators of the shards: got {makers}, expected one. Merge shards "
            "made the same way."
        )
    videos = {k: v for p in parts for k, v in p.videos.items()}
    errors = {k: e for p in parts for k, e in p.errors.items() if k not in videos}
    return Labels(videos, errors, makers[0])
