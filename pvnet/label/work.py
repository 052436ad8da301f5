"""What labels one video after another, whoever it works for: threads, or workers of a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import FileError, PvnetError
from pvnet.label.estimator import EstimatorError
from pvnet.label.files import Labels, VideoLabels, load_labels, save_labels
from pvnet.video.source import open as open_video


class Estimates(Protocol):
    """What labels frames; `estimator.Estimator` is one."""

    name: str

    def begin(self) -> None:
        """A new video begins."""
        ...

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [13, 3] x, y, visibility of the person in a frame."""
        ...

    def close(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True)
class Job:
    """A video to label: its name in the labels file, and its file."""

    name: str
    path: Path


def label_video(job: Job, estimator: Estimates) -> VideoLabels:
    """Joints of every frame of a video.

    Raises:
        FileError: if it cannot be read.
        EstimatorError: if the estimator has ended.
    """
    estimator.begin()
    rows, times = [], []
    with open_video(str(job.path), damaged="drop") as source:
        for frame in source:
            rows.append(estimator(frame.image))
            times.append(frame.time_s)
        info = source.info
        # Pictures of a video whose size changes are all shown at the size of the first.
        h, w = frame.image.shape[:2] if rows else (0, 0)
    if not rows:
        raise FileError(
            f"[label] nothing to label in {job.name}: got 0 readable frames, expected at "
            "least one. Replace the file, or leave it out."
        )
    stamps = np.asarray(times, np.float64)
    return VideoLabels(
        job.name,
        job.path.stat().st_size,
        np.stack(rows).astype(np.float32),
        stamps - stamps[0],
        (w, h),
        info.fps if info.fps > 0 else 25.0,
    )


@dataclass(frozen=True)
class Labelled:
    """That a video has been labelled; its labels are in the folder of parts.

    Attributes:
        estimator: that did it.
        error: why it could not be done; None: it is done.
    """

    estimator: str
    error: str | None


class Labeller:
    """Labels videos with one estimator, and starts another where that has ended.

    Args:
        make: starts an estimator.
        parts: folder that takes the labels of each finished video.

    Raises:
        EstimatorError: when called, if no estimator can be started.
    """

    def __init__(self, make: Callable[[], Estimates], parts: Path) -> None:
        self._make, self._parts = make, parts
        self._estimator: Estimates | None = None

    def __call__(self, job: Job) -> Labelled:
        """Label a video and keep the result."""
        if self._estimator is None:
            self._estimator = self._make()
        name = self._estimator.name
        try:
            labels = label_video(job, self._estimator)
            save_labels(part_file(self._parts, job), Labels({labels.name: labels}, {}, name))
        except (PvnetError, OSError) as error:
            if isinstance(error, EstimatorError):
                self.close()
            return Labelled(name, str(error))
        return Labelled(name, None)

    def close(self) -> None:
        """End the estimator."""
        if self._estimator is not None:
            self._estimator.close()
            self._estimator = None


def part_file(parts: Path, job: Job) -> Path:
    """Where the labels of one finished video are kept."""
    return parts / f"{hashlib.sha256(job.name.encode()).hexdigest()[:24]}.npz"


def load_part(parts: Path, job: Job) -> Labels:
    """What is kept of a video; no videos if nothing is."""
    try:
        return load_labels(part_file(parts, job))
    except FileError:
        return Labels({})
