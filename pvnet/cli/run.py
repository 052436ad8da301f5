"""Run a network on a video file, a directory of frames, a camera, an address or `synthetic`."""

from __future__ import annotations

import argparse
import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pvnet.cli.network import (
    Choice,
    add_compile_arguments,
    add_network_arguments,
    choose,
    compile_plan,
)
from pvnet.cli.overlay import Overlay
from pvnet.cli.parse import positive
from pvnet.cli.progress import Progress, note
from pvnet.cli.report import Report, table
from pvnet.cli.sources import open_source
from pvnet.cli.stats import RunStats, age_text
from pvnet.errors import FileError
from pvnet.video import POLICIES, VideoWriter

_DEFAULT_FPS = 25.0
# A synthetic video has no end; a run of it has one.
_SYNTHETIC_FRAMES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet run`."""
    parser.add_argument("source", metavar="VIDEO|CAMERA|synthetic", help="what to run on")
    add_network_arguments(parser)
    add_compile_arguments(parser)
    group = parser.add_argument_group("video")
    group.add_argument(
        "--policy",
        choices=POLICIES,
        default="block",
        help="frames that come faster than ticks (default block: none is lost)",
    )
    group.add_argument("--realtime", action="store_true", help="play a file at its own pace")
    group.add_argument("--fit", choices=("stretch", "letterbox"), default="stretch")
    group.add_argument("--max-frames", type=positive, metavar="N", help="stop after N frames")
    group.add_argument("--out", type=Path, metavar="FILE.mp4", help="annotated video")


def run(args: argparse.Namespace) -> Report:
    """Tick over the source, draw and write if asked, sum up."""
    choice = choose(args)
    plan = compile_plan(choice, args)
    if choice.random and not args.quiet:
        note(f"{args.model}: random weights, its output means nothing; see --model")
    overlay = Overlay(plan, choice)
    stats, last_index = RunStats(), -1
    limit = args.max_frames
    with ExitStack() as stack:
        source = stack.enter_context(open_source(args.source, plan, fit=args.fit))
        if limit is None and args.source.startswith("synthetic") and source.info.n_frames is None:
            limit = _SYNTHETIC_FRAMES
        fps = source.info.fps or _DEFAULT_FPS
        total = min(n for n in (limit, source.info.n_frames, 10**9) if n is not None)
        bar = stack.enter_context(
            Progress("run", total=total if total < 10**9 else None, quiet=args.quiet)
        )
        writer: VideoWriter | None = None
        # Endless sources stop by count here: nothing beyond the last wanted frame is read.
        frames = itertools.islice(source, limit) if args.policy == "block" else source
        stream = plan.stream()
        for tick in stream.run(frames, policy=args.policy, realtime=args.realtime):
            stats.add(tick)
            last_index = tick.frame.index
            if args.out is not None:
                image = overlay.draw(tick.frame, tick)
                if writer is None:
                    writer = stack.enter_context(VideoWriter(args.out, fps, size=image.shape[:2]))
                    size = image.shape
                if image.shape == size:
                    writer.write(image)
            bar.step()
            if limit is not None and len(stats.latencies_ms) >= limit:
                break
        problems = source.stats
    if stats.last is None:
        raise FileError(
            f"[run] nothing could be read from {args.source!r}: got 0 frames, expected at least 1. "
            "Check the video."
        )
    document = {
        "source": args.source,
        "model": choice.label,
        "random_weights": choice.random,
        "backend": plan.backend,
        "isa": plan.isa,
        "lanes": plan.lanes,
        "policy": args.policy,
        "frames": len(stats.latencies_ms),
        "dropped_frames": last_index + 1 - len(stats.latencies_ms),
        "corrupt_frames": problems.corrupt,
        **stats.summary(plan.graph),
        "last_output": overlay.words(stats.last),
        "out": None if args.out is None else str(args.out),
    }
    return Report(document, _text(choice, document))


def _text(choice: Choice, d: dict[str, Any]) -> str:
    rows = [
        ("model", f"{choice.title}, {d['stages']} stage(s), {d['wiring']}"),
        ("backend", f"{d['backend']} {d['isa']}, {d['lanes']} lane(s)"),
        ("frames", f"{d['frames']}, {d['dropped_frames']} dropped ({d['policy']})"),
        ("throughput", f"{d['throughput_ticks_per_s']:.1f} ticks/s"),
        ("ticks alone", f"{d['tick_rate_ticks_per_s']:.1f} ticks/s"),
        (
            "computational latency",
            f"p50 {d['computational_latency_p50_ms']:.2f} ms, "
            f"p99 {d['computational_latency_p99_ms']:.2f} ms",
        ),
        ("information latency", f"{d['information_latency_ticks']} ticks"),
        ("age of the stages", f"{age_text(d['age_ticks'])} ticks"),
        ("warm-up", f"{d['warm_up_ticks']} ticks"),
        ("last output", d["last_output"]),
    ]
    if d["corrupt_frames"]:
        rows.append(("corrupt", f"{d['corrupt_frames']} frames skipped"))
    if d["out"]:
        rows.append(("wrote", d["out"]))
    return table(("what", "value"), rows)
