"""Sequential and depth-parallel side by side on a built-in video: a table, a video, a timeline.

No arguments, no network, no camera needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pvnet import models, runtime
from pvnet.cli.demo_files import write_timeline, write_video
from pvnet.cli.demo_run import DemoRun, make_runs, shifted_difference
from pvnet.cli.machine import cpus_allowed
from pvnet.cli.network import Choice
from pvnet.cli.parse import natural, positive
from pvnet.cli.progress import Progress, note
from pvnet.cli.report import Report, plain, table
from pvnet.cli.sources import frame_size
from pvnet.cli.stats import age_text
from pvnet.cli.weights import random_weights
from pvnet.errors import InternalError
from pvnet.video.synthetic import SyntheticFrame, SyntheticVideo

_SEQUENTIAL = "par_densenet_demo_sequential"
_PREDICTIVE = "par_densenet_demo_predictive"
_STAGES = 7
_TOLERANCE = 1e-4
_CHUNK_TICKS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet demo`; all have defaults."""
    parser.add_argument("--out", type=Path, default=Path("pvnet_demo"), help="directory to write")
    parser.add_argument("--frames", type=positive, default=150, help="length (default 150)")
    parser.add_argument("--seed", type=natural, default=11, help="of the synthetic video")
    parser.add_argument("--lanes", type=positive, help="CPU lanes (default: all CPUs)")
    parser.add_argument("--backend", choices=("auto", "ref", "cpu", "cuda"), default="auto")
    parser.add_argument("--no-files", action="store_true", help="only the table")


def run(args: argparse.Namespace) -> Report:
    """Run all wirings on the same frames, compare, score, write."""
    teacher, student = _networks()
    lanes = args.lanes or cpus_allowed()
    runs = make_runs(teacher, student, lanes=lanes, backend=args.backend)
    video = SyntheticVideo(args.seed, *frame_size(runs[0].plan))
    frames = [next(video) for _ in range(args.frames)]
    _advance(runs, frames, quiet=args.quiet)
    difference = _check_exact(runs)
    score_from = max(run.warm_up_ticks for run in runs)
    rows = [run.row(frames, score_from) for run in runs]
    document: dict[str, Any] = {
        "model": teacher.label,
        "student": student.label,
        "random_weights": teacher.random,
        "frames": args.frames,
        "pipelined_minus_sequential_max": difference,
        "rows": rows,
        "files": {} if args.no_files else _write(runs, frames, args),
    }
    if not args.no_files:
        (args.out / "demo.json").write_text(json.dumps(plain(document), indent=1) + "\n")
    return Report(document, _text(teacher, document))


def _networks() -> tuple[Choice, Choice]:
    """Teacher and student; fresh ones with random weights where the trained ones are missing."""
    if {_SEQUENTIAL, _PREDICTIVE} <= set(models.list_pretrained()):
        loaded = [
            (name, runtime.load(models.pretrained(name))) for name in (_SEQUENTIAL, _PREDICTIVE)
        ]
        teacher, student = (
            Choice(model.graph, model.weights, model.metadata, name, random=False)
            for name, model in loaded
        )
        return teacher, student
    note("this build has no trained demo model: random weights, the joints mean nothing")
    graph = models.build("par_densenet", width=0.25, size=(128, 96), stages=_STAGES, skips="head")
    weights = random_weights(graph)
    metadata = {"task": "joints", "weights": "random"}
    label = "par_densenet"
    wired = graph.wire("predictive", stages=graph.stage_lists)
    return (
        Choice(graph, weights, metadata, label, random=True),
        Choice(wired, weights, metadata, label, random=True),
    )


def _advance(runs: list[DemoRun], frames: list[SyntheticFrame], *, quiet: bool) -> None:
    """Run every network over all frames, in chunks of alternating order: A B C, C B A, ..."""
    with Progress("demo", total=len(frames) * len(runs), quiet=quiet) as bar:
        for number, begin in enumerate(range(0, len(frames), _CHUNK_TICKS)):
            chunk = frames[begin : begin + _CHUNK_TICKS]
            for one in runs if number % 2 == 0 else reversed(runs):
                for frame in chunk:
                    one.tick(frame)
                    bar.step()


def _check_exact(runs: list[DemoRun]) -> float:
    """Largest difference of pipelined from sequential K-1 ticks earlier.

    Raises:
        InternalError: if it is more than rounding.
    """
    by_title = {run.title: run for run in runs}
    pipelined = by_title["pipelined"]
    difference, scale = shifted_difference(by_title["sequential"], pipelined)
    if difference > _TOLERANCE * max(scale, 1.0):
        raise InternalError(
            f"[demo] pipelined is not sequential {pipelined.stages - 1} ticks later: got a "
            f"difference of {difference:.3g}, expected 0 up to rounding. Report this as a bug."
        )
    return difference


def _write(
    runs: list[DemoRun], frames: list[SyntheticFrame], args: argparse.Namespace
) -> dict[str, str]:
    args.out.mkdir(parents=True, exist_ok=True)
    by_title = {run.title: run for run in runs}
    pair = (by_title["sequential"], by_title["predictive"])
    files = {
        "video": write_video(args.out, frames, pair, quiet=args.quiet),
        "timeline": write_timeline(args.out, pair[1].plan.graph),
    }
    return {key: str(path) for key, path in files.items()}


def _text(teacher: Choice, d: dict[str, Any]) -> str:
    header = (
        "wiring",
        "stages",
        "lanes",
        "ticks/s",
        "p50 ms",
        "p99 ms",
        "inform. latency",
        "age",
        "warm-up",
        "PCK@0.2",
    )
    rows: list[tuple[object, ...]] = [
        (
            row["title"],
            row["stages"],
            row["lanes"],
            row["tick_rate_ticks_per_s"],
            row["computational_latency_p50_ms"],
            row["computational_latency_p99_ms"],
            row["information_latency_ticks"],
            age_text(row["age_ticks"]),
            row["warm_up_ticks"],
            row["pck_0_2"],
        )
        for row in d["rows"]
    ]
    stages = d["rows"][-1]["stages"]
    lines = [
        f"{teacher.title} on {d['frames']} synthetic frames",
        "",
        table(header, rows),
        "",
        f"pipelined = sequential {stages - 1} ticks later, "
        f"largest difference {d['pipelined_minus_sequential_max']:.2g}",
        "PCK@0.2: output of tick t against the joints of frame t; pipelined pays for its latency, "
        "predictive is trained to make up for it",
    ]
    lines += [f"wrote {path}" for path in d["files"].values()]
    return "\n".join(lines)
