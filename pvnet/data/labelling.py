"""Labelling many videos with an estimator: resumable, and no video stops the others."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import FileError, InvalidArgumentError, PvnetError
from pvnet.video.source import open as open_video

from .decode import VIDEO_ENDINGS
from .estimator import EstimatorError
from .label_files import Labels, VideoLabels, load_labels, save_labels
from .tree import Tree


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


def find_jobs(places: Sequence[Path]) -> list[Job]:
    """Videos of files and folders, by name; names of folders' files are relative to the folder.

    Raises:
        FileError: if a place does not exist or two videos have one name.
    """
    jobs: dict[str, Job] = {}
    for place in places:
        if place.is_dir():
            found = [Job(p.relative_to(place).as_posix(), p) for p in Tree(place).files]
        elif place.exists():
            found = [Job(place.name, place)]
        else:
            raise FileError(
                f"[data.labelling] no such file or folder: got {str(place)!r}, expected videos. "
                "Check the path."
            )
        for job in found:
            if job.name in jobs:
                raise FileError(
                    f"[data.labelling] two videos of one name: got {job.name!r} twice, expected "
                    "different names. Label the folders one by one."
                )
            jobs[job.name] = job
    if not jobs:
        raise FileError(
            f"[data.labelling] no videos: got {[str(p) for p in places]}, expected files ending "
            f"in {', '.join(sorted(VIDEO_ENDINGS))}. Check the paths."
        )
    return [jobs[name] for name in sorted(jobs)]


def shard(jobs: Sequence[Job], part: int, parts: int) -> list[Job]:
    """Every `parts`-th job, beginning with number `part` (from 1): one machine's share.

    Raises:
        InvalidArgumentError: for a part that is not one of 1..parts.
    """
    if not 1 <= part <= parts:
        raise InvalidArgumentError(
            f"[data.labelling] shard: got {part}/{parts}, expected I/N with I from 1 to N. "
            "Write for example 2/8."
        )
    return list(jobs[part - 1 :: parts])


def label_video(job: Job, estimator: Estimates) -> VideoLabels:
    """Joints of every frame of a video.

    Raises:
        FileError: if it cannot be read.
        EstimatorError: if the estimator has ended.
    """
    estimator.begin()
    rows, times = [], []
    with open_video(str(job.path)) as source:
        for frame in source:
            rows.append(estimator(frame.image))
            times.append(frame.time_s)
        info = source.info
        # Pictures of a video whose size changes are all shown at the size of the first.
        h, w = frame.image.shape[:2] if rows else (0, 0)
    if not rows:
        raise FileError(
            f"[data.labelling] nothing to label in {job.name}: got 0 readable frames, expected at "
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


def label_videos(
    jobs: Sequence[Job],
    out: Path,
    make: Callable[[], Estimates],
    *,
    workers: int = 1,
    done: Callable[[Job], None] | None = None,
) -> Labels:
    """Label videos and write the labels file.

    Finished videos are kept in a folder beside `out` until all are done; run again after an
    interruption, and only the others are labelled. Videos that are in `out` already, with the same
    length of file, are not labelled again. Videos that cannot be read are listed in `errors`.

    Args:
        jobs: videos.
        out: labels file.
        make: starts an estimator.
        workers: estimators at the same time.
        done: called after every video.

    Raises:
        EstimatorError: if no estimator can be started.
        FileError: if `out` cannot be written.
    """
    parts = out.with_name(out.name + ".parts")
    before = load_labels(out) if out.exists() else Labels({})
    videos = dict(before.videos)
    missing, name = [], before.estimator
    for job in jobs:
        part = _kept(parts, job)
        name = name or part.estimator
        kept = part.videos.get(job.name) or videos.get(job.name)
        if kept is not None and kept.size_bytes == job.path.stat().st_size:
            videos[job.name] = kept
            if done is not None:
                done(job)
        else:
            missing.append(job)
    errors: dict[str, str] = {}
    if missing:
        try:
            parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"[data.labelling] {parts} cannot be made: got {error}, expected a folder that "
                "can be written. Choose another --out."
            ) from error
        work = _Work(missing, parts, make, done)
        work.run(max(1, min(workers, len(missing))))
        videos.update(work.videos)
        errors, name = work.errors, work.estimator
    named = {job.name for job in jobs}
    old = {k: e for k, e in before.errors.items() if k not in videos and k not in named}
    labels = Labels(videos, {**old, **errors}, name)
    save_labels(out, labels)
    shutil.rmtree(parts, ignore_errors=True)
    return labels


class _Work:
    """Threads that each own an estimator and take jobs from one list."""

    def __init__(
        self,
        jobs: Iterable[Job],
        parts: Path,
        make: Callable[[], Estimates],
        done: Callable[[Job], None] | None,
    ) -> None:
        self._jobs: Queue[Job] = Queue()
        for job in jobs:
            self._jobs.put(job)
        self._parts, self._make, self._done = parts, make, done
        self._lock = Lock()
        self._fatal: BaseException | None = None
        self.videos: dict[str, VideoLabels] = {}
        self.errors: dict[str, str] = {}
        self.estimator = ""

    def run(self, workers: int) -> None:
        """Do all jobs."""
        threads = [Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._fatal is not None:
            raise self._fatal

    def _serve(self) -> None:
        estimator: Estimates | None = None
        try:
            while self._fatal is None:
                try:
                    job = self._jobs.get_nowait()
                except Empty:
                    return
                if estimator is None:
                    estimator = self._make()
                    self.estimator = estimator.name
                if not self._one(job, estimator):
                    estimator.close()
                    estimator = None
        except BaseException as error:
            self._fatal = error
        finally:
            if estimator is not None:
                estimator.close()

    def _one(self, job: Job, estimator: Estimates) -> bool:
        """Label a video; False if the estimator has ended over it."""
        alive = True
        try:
            labels = label_video(job, estimator)
            _keep(self._parts, labels, estimator.name)
            with self._lock:
                self.videos[job.name] = labels
        except (PvnetError, OSError) as error:
            alive = not isinstance(error, EstimatorError)
            with self._lock:
                self.errors[job.name] = str(error)
        with self._lock:
            if self._done is not None:
                self._done(job)
        return alive


def _part(parts: Path, name: str) -> Path:
    return parts / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.npz"


def _keep(parts: Path, labels: VideoLabels, estimator: str) -> None:
    save_labels(_part(parts, labels.name), Labels({labels.name: labels}, {}, estimator))


def _kept(parts: Path, job: Job) -> Labels:
    try:
        return load_labels(_part(parts, job.name))
    except FileError:
        return Labels({})
