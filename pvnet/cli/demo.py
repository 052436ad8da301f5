"""Sequential and depth-parallel on one clock, then every wiring: tables, videos, a timeline.

No arguments, no network, no camera needed. --compare is for a video of your own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pvnet.cli._common.network_choice import Choice, load_trained
from pvnet.cli._common.parse import fraction, natural, new_folder, positive
from pvnet.cli._common.progress import Progress
from pvnet.cli._common.report import Report, UsageError
from pvnet.cli._common.sources import add_damaged_argument, frame_size
from pvnet.cli._common.stats import age_text
from pvnet.cli._demo import catch, compare
from pvnet.cli._demo.demo_run import DemoRun, make_runs, shifted_difference
from pvnet.cli._demo.files import write_timeline, write_video
from pvnet.errors import InternalError
from pvnet.files import write_json
from pvnet.report import plain, table
from pvnet.runtime.machine import cpus_allowed
from pvnet.video.synthetic import SyntheticFrame, SyntheticVideo

_TOLERANCE = 1e-4
_CHUNK_TICKS = 20
_MODEL = "par_densenet_demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet demo`; all have defaults."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("catch",),
        help="catch: a paddle must catch a ball while the network computes",
    )
    parser.add_argument(
        "--out", type=new_folder, default=Path("pvnet_demo"), help="directory to write"
    )
    parser.add_argument("--frames", type=positive, default=150, help="length (default 150)")
    parser.add_argument("--seed", type=natural, default=11, help="of the synthetic video")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="shipped (default: of the wirings par_densenet_demo, which knows the figure of the "
        "built-in video; of the comparison there one that takes tens of ms a frame)",
    )
    parser.add_argument(
        "--stages", type=positive, metavar="K", help="of the depth-parallel one (default: the most)"
    )
    parser.add_argument("--lanes", type=positive, help="CPU lanes (default: all CPUs)")
    parser.add_argument("--backend", choices=("auto", "ref", "cpu", "cuda"), default="auto")
    parser.add_argument("--no-files", action="store_true", help="only the table")
    group = parser.add_argument_group(
        "comparison", "sequential beside depth-parallel on one clock, each result when it exists"
    )
    group.add_argument(
        "--compare",
        nargs="?",
        const="synthetic",
        metavar="VIDEO",
        help="only the comparison, of a video or of the built-in one",
    )
    group.add_argument(
        "--fps",
        type=fraction,
        metavar="HZ",
        help="frames that arrive per second (default: what the faster side can keep)",
    )
    group.add_argument(
        "--slowdown", type=fraction, default=1.0, metavar="X", help="a machine X times slower"
    )
    group.add_argument(
        "--lanes-simulated",
        type=positive,
        metavar="N",
        help="both as on N lanes, from measured times of the operations",
    )
    group.add_argument(
        "--size",
        type=positive,
        default=160,
        metavar="PIXELS",
        help="of the network that takes its time (default 160)",
    )
    group.add_argument(
        "--moments", type=positive, default=4, metavar="N", help="pictures per frame (default 4)"
    )
    group.add_argument("--fit", choices=("stretch", "letterbox"), default="stretch")
    add_damaged_argument(group)
    catch.add_arguments(parser)


def written(args: argparse.Namespace) -> list[Path]:
    """The files of a run."""
    names = ["compare.mp4", "compare.json", "compare_stills.ppm"]
    if args.what == "catch":
        names = ["catch.mp4", "catch.json", "catch_stills.ppm"]
    elif args.compare is None:
        names += ["demo.mp4", "demo.json", "demo_stills.ppm", "timeline.png", "timeline.txt"]
    return [] if args.no_files else [args.out / name for name in names]


def run(args: argparse.Namespace) -> Report:
    """Run all wirings on the same frames, compare, score, write."""
    catch.refuse_foreign(args)
    if args.what == "catch":
        return catch.run(args)
    opening = compare.run(args)
    if args.compare is not None:
        return opening
    teacher, student = _networks(args)
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
        "weights": student.weights_words,
        "cut": student.cut.document(),
        "comparison": opening.document,
        "frames": args.frames,
        "pipelined_minus_sequential_max": difference,
        "rows": rows,
        "files": {} if args.no_files else _write(runs, frames, args),
    }
    if not args.no_files:
        write_json(args.out / "demo.json", plain(document), where="demo")
    return Report(document, f"{opening.text}\n\n{_text(teacher, document)}")


def _networks(args: argparse.Namespace) -> tuple[Choice, Choice]:
    """The shipped sequential weights, and those trained to be depth-parallel."""
    name = args.model or _MODEL
    teacher = load_trained(name, "sequential", None)
    student = load_trained(name, "predictive", args.stages)
    if student.metadata.get("task") != "joints":
        raise UsageError(f"--model {name}: the built-in video has joints to find")
    return teacher, student


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
        f"{teacher.label} and {d['student']} ({d['weights']}) on {d['frames']} synthetic frames",
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
