"""Run some ticks and write what lanes, cuda_streams and SMs did, for ui.perfetto.dev."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pvnet.cli._common.chrome_trace import chrome_trace, utilisation
from pvnet.cli._common.network_choice import (
    add_compile_arguments,
    add_network_arguments,
    choose,
    compile_plan,
)
from pvnet.cli._common.parse import new_json, positive
from pvnet.cli._common.progress import Progress
from pvnet.cli._common.report import Report
from pvnet.cli._common.sources import probe_frames
from pvnet.files import write_whole
from pvnet.report import table

_EVENTS_PER_OP = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet trace`."""
    add_network_arguments(parser)
    add_compile_arguments(parser)
    parser.add_argument("--ticks", type=positive, default=20, help="ticks to record (default 20)")
    parser.add_argument("--out", type=new_json, default=Path("trace.json"), help="file to write")


def run(args: argparse.Namespace) -> Report:
    """Warm up, record, write the file, and sum up lanes and stages."""
    choice = choose(args)
    plan = compile_plan(choice, args, fixed_lanes=True)  # so that all lanes are seen
    stream = plan.stream()
    warm = len(choice.graph.stages) + plan.hyper_period + 2
    frames = probe_frames(plan, n=8)
    for t in range(warm):
        stream.tick(frames[t % len(frames)])
    stream.trace_start(capacity=_EVENTS_PER_OP * max(1, len(plan.ops)) * args.ticks)
    with Progress("trace", total=args.ticks, quiet=args.quiet) as bar:
        for t in range(args.ticks):
            stream.tick(frames[t % len(frames)])
            bar.step()
    events = stream.trace_stop()
    ops = plan.ops
    name = f"{choice.label} {choice.graph.wiring}"
    document = chrome_trace(events, ops, lanes=plan.lanes, name=name)
    write_whole(args.out, json.dumps(document), where="trace")
    sums = utilisation(events, ops, lanes=plan.lanes)
    summary = {
        "model": choice.label,
        "random_weights": choice.random,
        "wiring": choice.graph.wiring,
        "stages": len(choice.graph.stages),
        "cut": choice.cut.document(),
        "backend": plan.backend,
        "lanes": plan.lanes,
        "warm_ticks": warm,
        "events": len(events),
        "out": str(args.out),
        **sums,
    }
    lanes = table(
        ("lane", "busy %"),
        [(lane, 100 * share) for lane, share in enumerate(sums["lane_utilisation"])],
    )
    if "sm_utilisation" in sums:
        busy = list(sums["sm_utilisation"].values())
        lanes += f"\n\n{len(busy)} SMs, busy {100 * sum(busy) / len(busy):.0f} % on average"
    stages = table(
        ("stage", "ms per tick"),
        [(int(stage), ms) for stage, ms in sums["stage_ms_per_tick"].items()],
    )
    text = (
        f"{choice.title}: {summary['stages']} stages, {choice.graph.wiring}, {plan.lanes} lanes, "
        f"{sums['ticks']} ticks of {sums['tick_ms']:.2f} ms\n\n{lanes}\n\n{stages}\n\n"
        f"wrote {args.out} ({len(events)} events); open it in ui.perfetto.dev"
    )
    return Report(summary, text)
