"""Labelling many videos with an estimator: resumable, and no video stops the others."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread

from pvnet.cluster.work import Cluster, spread
from pvnet.data.files.decode import VIDEO_ENDINGS
from pvnet.data.files.tree import Tree
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.label.files import Labels, VideoLabels, load_labels, save_labels
from pvnet.label.work import Estimates, Job, Labelled, Labeller, load_part

__all__ = ["Estimates", "Job", "find_jobs", "label_videos", "shard"]


def find_jobs(paths: Sequence[Path]) -> list[Job]:
    """Videos of files and folders, by name; names of folders' files are relative to the folder.

    Raises:
        FileError: if a path does not exist or two videos have one name.
    """
    jobs: dict[str, Job] = {}
    for path in paths:
        if path.is_dir():
            found = [Job(p.relative_to(path).as_posix(), p) for p in Tree(path).files]
        elif path.exists():
            found = [Job(path.name, path)]
        else:
            raise FileError(
                f"[label] no such file or folder: got {str(path)!r}, expected videos. "
                "Check the path."
            )
        for job in found:
            if job.name in jobs:
                raise FileError(
                    f"[label] two videos of one name: got {job.name!r} twice, expected "
                    "different names. Label the folders one by one."
                )
            jobs[job.name] = job
    if not jobs:
        raise FileError(
            f"[label] no videos: got {[str(p) for p in paths]}, expected files ending "
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
            f"[label] shard: got {part}/{parts}, expected I/N with I from 1 to N. "
            "Write for example 2/8."
        )
    return list(jobs[part - 1 :: parts])


def label_videos(
    jobs: Sequence[Job],
    out: Path,
    make: Callable[[], Estimates],
    *,
    workers: int = 1,
    cluster: Cluster | None = None,
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
        workers: estimators at the same time, in threads of this process.
        cluster: work in its processes instead, one estimator each. They read the videos and write
            the folder beside `out` themselves; `make` travels to them. A video that ends every
            worker is listed in `errors`, those whose worker died over them in `retried`.
        done: called after every video.

    Raises:
        EstimatorError: if no estimator can be started.
        FileError: if `out` cannot be written.
        UnsupportedError: for a cluster where Ray is not installed.
        ClusterError: if the cluster cannot be reached or its workers do not start.
    """
    parts = out.absolute().with_name(out.name + ".parts")
    before = load_labels(out) if out.exists() else Labels({})
    videos = dict(before.videos)
    missing, name = [], before.estimator
    for job in jobs:
        part = load_part(parts, job)
        name = name or part.estimator
        old = part.videos.get(job.name) or videos.get(job.name)
        if old is not None and old.size_bytes == job.path.stat().st_size:
            videos[job.name] = old
            if done is not None:
                done(job)
        else:
            missing.append(job)
    work = _Work()
    if missing:
        try:
            parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"[label] {parts} cannot be made: got {error}, expected a folder that "
                "can be written. Choose another --out."
            ) from error
        if cluster is None:
            work = _in_threads(missing, parts, make, max(1, min(workers, len(missing))), done)
        else:
            work = _on_cluster(missing, parts, make, cluster, done)
        videos.update(_collect(missing, parts, work))
    named = {job.name for job in jobs}
    errors = {k: e for k, e in before.errors.items() if k not in videos and k not in named}
    labels = Labels(videos, {**errors, **work.errors}, work.estimator or name, work.retried)
    save_labels(out, labels)
    shutil.rmtree(parts, ignore_errors=True)
    return labels


@dataclass
class _Work:
    """What came of the videos that were not labelled yet."""

    errors: dict[str, str] = field(default_factory=dict)
    estimator: str = ""
    retried: tuple[str, ...] = ()

    def note(self, job: Job, labelled: Labelled) -> None:
        """One video is through."""
        self.estimator = labelled.estimator
        if labelled.error is not None:
            self.errors[job.name] = labelled.error


def _collect(jobs: Sequence[Job], parts: Path, work: _Work) -> dict[str, VideoLabels]:
    """The labels that workers have left in the folder; an error for those that are not there."""
    videos: dict[str, VideoLabels] = {}
    for job in jobs:
        if job.name in work.errors:
            continue
        part = load_part(parts, job).videos.get(job.name)
        if part is None:
            work.errors[job.name] = (
                f"[label] {job.name} is labelled, but not here: got nothing in {parts}, "
                "expected what the worker wrote there. Put --out on a file system that all "
                "machines share."
            )
        else:
            videos[job.name] = part
    return videos


def _on_cluster(
    jobs: Sequence[Job],
    parts: Path,
    make: Callable[[], Estimates],
    cluster: Cluster,
    done: Callable[[Job], None] | None,
) -> _Work:
    """Label videos in the processes of a cluster."""
    sent = [Job(job.name, job.path.absolute()) for job in jobs]
    outcome = spread(
        functools.partial(Labeller, make, parts),
        sent,
        cluster,
        done=None if done is None else lambda k: done(jobs[k]),
    )
    work = _Work(retried=tuple(jobs[k].name for k in outcome.retried))
    for k in sorted(outcome.results):
        work.note(jobs[k], outcome.results[k])
    work.errors.update({jobs[k].name: text for k, text in outcome.failed.items()})
    return work


def _in_threads(
    jobs: Sequence[Job],
    parts: Path,
    make: Callable[[], Estimates],
    workers: int,
    done: Callable[[Job], None] | None,
) -> _Work:
    """Label videos in threads that each own an estimator and take jobs from one list."""
    work, lock, fatal = _Work(), Lock(), list[BaseException]()
    left: Queue[Job] = Queue()
    for job in jobs:
        left.put(job)

    def serve() -> None:
        labeller = Labeller(make, parts)
        try:
            while not fatal:
                job = left.get_nowait()
                labelled = labeller(job)
                with lock:
                    work.note(job, labelled)
                    if done is not None:
                        done(job)
        except Empty:
            pass
        except BaseException as error:
            fatal.append(error)
        finally:
            labeller.close()

    threads = [Thread(target=serve, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if fatal:
        raise fatal[0]
    return work
