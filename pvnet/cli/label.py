"""Label the joints of people in videos with an off-the-shelf pose estimator."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvnet.cli._common.parse import add_cluster_argument, new_labels, positive
from pvnet.cli._common.progress import Progress, note
from pvnet.cli._common.report import Report, UsageError

if TYPE_CHECKING:
    from pvnet.label.files import Labels

_SHOWN_ERRORS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet label`."""
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEOS", help="files or folders")
    parser.add_argument("--out", type=new_labels, metavar="FILE", help="labels file (.npz)")
    parser.add_argument(
        "--setup", action="store_true", help="make the estimator's environment (needs a network)"
    )
    parser.add_argument("--env", type=Path, metavar="FOLDER", help="where that environment is")
    parser.add_argument("--base-python", metavar="PATH", help="Python 3.9-3.12 to make it with")
    parser.add_argument("--python", type=Path, metavar="PATH", help="a Python that has MediaPipe")
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="estimators at a time (default 1; with --cluster all its CPUs)",
    )
    add_cluster_argument(parser)
    parser.add_argument("--shard", type=_shard, metavar="I/N", help="only the I-th of N shares")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="join label files")


def _shard(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected I/N with I from 1 to N")
    return int(part), int(parts)


def run(args: argparse.Namespace) -> Report:
    """Set up, label, or merge."""
    if args.merge:
        return _merge(args.merge, _out(args))
    python = _python(args)
    if not args.videos:
        if args.setup:
            return Report({"python": str(python)}, f"the estimator is ready: {python}")
        raise UsageError("VIDEOS are missing (or --setup, or --merge)")
    return _label(args, _out(args), python)


def _out(args: argparse.Namespace) -> Path:
    if args.out is None:
        raise UsageError("--out is missing: where to write the labels")
    out: Path = args.out
    return out


def _python(args: argparse.Namespace) -> Path:
    from pvnet.label import estimator

    if args.python is not None:
        python: Path = args.python
        return python
    folder: Path = args.env or estimator.environment_folder()
    if args.setup:
        if not args.quiet:
            note(f"making an environment with {estimator.PACKAGE} in {folder}")
        return estimator.make_environment(folder, base=args.base_python)
    python = estimator.environment_python(folder)
    if not python.exists():
        raise UsageError("there is no estimator yet: add --setup, or --python PATH")
    return python


def _label(args: argparse.Namespace, out: Path, python: Path) -> Report:
    from pvnet.cluster.work import Cluster
    from pvnet.label import labelling
    from pvnet.label.estimator import Estimator

    jobs: Sequence[labelling.Job] = labelling.find_jobs(args.videos)
    if args.shard is not None:
        jobs = labelling.shard(jobs, *args.shard)
    with Progress("label", total=len(jobs), quiet=args.quiet) as bar:
        labels = labelling.label_videos(
            jobs,
            out,
            functools.partial(Estimator, python),
            workers=args.workers or 1,
            cluster=Cluster(args.cluster, args.workers) if args.cluster else None,
            done=lambda _: bar.step(),
        )
    return _report(out, labels)


def _merge(files: Sequence[Path], out: Path) -> Report:
    from pvnet.label.files import load_labels, merge_labels, save_labels

    labels = merge_labels([load_labels(file) for file in files])
    save_labels(out, labels)
    return _report(out, labels)


def _report(out: Path, labels: Labels) -> Report:
    frames = sum(len(v.time_s) for v in labels.videos.values())
    found = sum(int(v.found.sum()) for v in labels.videos.values())
    document: dict[str, Any] = {
        "out": str(out),
        "estimator": labels.estimator,
        "videos": len(labels.videos),
        "frames": frames,
        "frames_with_a_person": found,
        "found_rate": found / frames if frames else None,
        "errors": dict(labels.errors),
        "retried": list(labels.retried),
    }
    lines = [
        f"wrote {out}: {len(labels.videos)} videos, {frames} frames, a person in "
        f"{100 * found / max(frames, 1):.1f} % of them ({labels.estimator})"
    ]
    if labels.retried:
        lines.append(f"{len(labels.retried)} videos went to a second worker: the first died")
    if labels.errors:
        lines.append(f"{len(labels.errors)} videos could not be labelled:")
        for name, problem in list(labels.errors.items())[:_SHOWN_ERRORS]:
            lines.append(f"  {name}: {problem}")
    return Report(document, "\n".join(lines))
