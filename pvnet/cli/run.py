"""Run a network on a video file, a directory of frames, a camera, an address or `synthetic`."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable
from typing import Any

from pvnet.cli._common.network_choice import (
    JOINTS_OF_PEOPLE,
    Choice,
    add_compile_arguments,
    add_network_arguments,
    choose,
    compile_plan,
)
from pvnet.cli._common.overlay import Overlay
from pvnet.cli._common.pairing import DRAWN
from pvnet.cli._common.parse import new_results, new_video, positive
from pvnet.cli._common.progress import Progress, note
from pvnet.cli._common.report import Report
from pvnet.cli._common.run_outputs import RunOutputs
from pvnet.cli._common.signals import Interrupted, as_interrupted, ending_in_any_case
from pvnet.cli._common.sources import (
    add_source_arguments,
    chosen_policy,
    open_source,
    source_facts,
    source_options,
    source_rows,
)
from pvnet.cli._common.stats import RunStats, age_text
from pvnet.errors import FileError, SourceLostError
from pvnet.report import table
from pvnet.results import ENDS
from pvnet.runtime import Plan
from pvnet.video import Feed, Frame, Source
from pvnet.video.formats import WRITTEN
from pvnet.video.reader import Kept

# A synthetic video has no end; a run of it has one.
_SYNTHETIC_FRAMES = 100
# The system may give the decoder and the lanes a CPU by turns of some milliseconds.
_READ_AHEAD = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet run`."""
    parser.add_argument("source", metavar="VIDEO|CAMERA|synthetic", help="what to run on")
    add_network_arguments(parser, default=JOINTS_OF_PEOPLE, weights="trained")
    add_compile_arguments(parser)
    group = add_source_arguments(parser)
    group.add_argument("--max-frames", type=positive, metavar="N", help="stop after N frames")
    group.add_argument("--out", type=new_video, metavar="FILE", help=f"annotated video ({WRITTEN})")
    group.add_argument(
        "--overlay",
        choices=DRAWN,
        default="live",
        help="draw an answer on the newest frame (live, default), or on the frame that it has "
        "heard of, the video being that much behind (aligned)",
    )
    group.add_argument(
        "--save",
        type=new_results,
        metavar="FILE",
        help=f"results, a row a tick ({', '.join(ENDS)})",
    )


def run(args: argparse.Namespace) -> Report:
    """Tick over the source, draw and write if asked, sum up."""
    choice = choose(args)
    args.fit = args.fit or choice.fit
    plan = compile_plan(choice, args)
    if choice.random and not args.quiet:
        note(f"{args.model}: random weights, its output means nothing; see --weights")
    overlay = Overlay(plan, choice)
    stats = RunStats()
    interrupted: Interrupted | None = None
    lost = None
    kept: Kept = "planes" if args.out is not None else False
    with (
        ending_in_any_case(),
        open_source(args.source, plan, keep_original=kept, **source_options(args)) as source,
        RunOutputs(args, source, plan, overlay) as outputs,
    ):
        try:
            complete = _loop(args, source, plan, stats, outputs)
        except KeyboardInterrupt as error:  # a camera has no other end; what was seen still counts
            if stats.last is None:
                raise
            interrupted, complete = as_interrupted(error), False
        except SourceLostError as error:
            if stats.last is None:
                raise
            lost, complete = str(error), False
        outputs.close(complete=complete)
    if stats.last is None:
        raise FileError(
            f"[run] nothing could be read from {args.source!r}: got 0 frames, expected at least 1. "
            "Check the video."
        )
    document = {
        "source": args.source,
        "model": choice.label,
        "random_weights": choice.random,
        "weights": choice.weights_words,
        "cut": choice.cut.document(),
        "backend": plan.backend,
        "isa": plan.isa,
        "dtype": plan.dtype,
        "lanes": plan.lanes,
        "frames": len(stats.latencies_ms),
        "dropped_frames": stats.last.frame.index + 1 - len(stats.latencies_ms),
        **source_facts(args, source, lost),
        **stats.summary(plan.graph),
        "last_output": overlay.words(stats.last),
        "overlay": args.overlay,
        **outputs.facts(),
        "interrupted": interrupted is not None,
        "interrupted_by": None if interrupted is None else interrupted.signal_name,
    }
    code = interrupted.exit_code if interrupted is not None else 1 if lost else 0
    return Report(document, _text(choice, document), code)


def _loop(
    args: argparse.Namespace,
    source: Source,
    plan: Plan,
    stats: RunStats,
    outputs: RunOutputs,
) -> bool:
    """Tick to the end of the source or the wanted number of frames; whether it was the end."""
    limit = args.max_frames
    if limit is None and args.source.startswith("synthetic") and source.info.n_frames is None:
        limit = _SYNTHETIC_FRAMES
    known = [n for n in (limit, source.info.n_frames) if n is not None]
    with (
        contextlib.ExitStack() as reading,
        Progress("run", total=min(known, default=None), quiet=args.quiet) as bar,
    ):
        policy = chosen_policy(args, source)
        frames: Iterable[Frame] = source
        if policy == "block" and not args.realtime:
            # Read beside the ticks; and a signal must find the main thread out of the read.
            frames = reading.enter_context(Feed(source, "block", capacity=_READ_AHEAD))
        ticks = plan.stream().run(frames, policy=policy, realtime=args.realtime, on_gap=args.on_gap)
        for tick in ticks:
            stats.add(tick)
            outputs.add(tick)
            bar.step()
            if limit is not None and len(stats.latencies_ms) >= limit:
                return False
    return True


def _text(choice: Choice, d: dict[str, Any]) -> str:
    rows = [
        ("model", f"{choice.name}, {d['stages']} stage(s), {d['wiring']}"),
        ("weights", d["weights"]),
        ("backend", f"{d['backend']} {d['isa']} {d['dtype']}, {d['lanes']} lane(s)"),
        (
            "frames",
            f"{d['frames']}, {d['dropped_frames']} dropped ({d['policy']}, {d['policy_is']})",
        ),
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
    rows += source_rows(d)
    if d["interrupted"]:
        rows.append(("interrupted", f"by {d['interrupted_by']} after {d['frames']} frames"))
    if d["audio_left_out"]:
        rows.append(("audio left out", "; ".join(d["audio_left_out"])))
    if d["out"]:
        rows.append(("wrote", d["out"]))
    if d["saved"]:
        rows.append(("saved", f"{d['saved']}, {d['saved_rows']} rows"))
    return table(("what", "value"), rows)
