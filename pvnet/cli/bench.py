"""Throughput and computational latency of the wirings, over a sweep of stages and lanes.

Compared are sequential, round-robin over frames (networks without state only), pipelined and
predictive; their results are checked before anything is timed.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from typing import Any

from pvnet.cli._bench.cases import Case, check_cases, make_cases
from pvnet.cli._bench.speedup_picture import draw_speedup
from pvnet.cli._common.cut import add_cut_argument
from pvnet.cli._common.network_choice import (
    Choice,
    add_dtype_argument,
    add_network_arguments,
    choose,
)
from pvnet.cli._common.parse import new_json, new_picture, positive, positive_list
from pvnet.cli._common.progress import Progress, note
from pvnet.cli._common.report import Report
from pvnet.cli._common.sources import probe_frames
from pvnet.cli._common.stats import latency_summary
from pvnet.distribution import install
from pvnet.errors import InternalError
from pvnet.evaluate.rivals import state_reasons
from pvnet.files import write_json
from pvnet.graph import Graph
from pvnet.report import plain, table
from pvnet.runtime.machine import cpus_allowed, machine_record, peak_gflops

# Float32 sums in another order; the cpu backend promises equal bits and usually shows 0.
_TOLERANCE = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet bench`."""
    add_network_arguments(parser, wiring=False)
    group = parser.add_argument_group("sweep")
    group.add_argument(
        "--stages",
        dest="sweep",
        type=positive_list,
        default=[2, 7],
        metavar="K,K",
        help="default 2,7",
    )
    add_cut_argument(group)
    group.add_argument(
        "--lanes", type=positive_list, metavar="N,N", help="default: 1 and all CPUs allowed"
    )
    group.add_argument("--backend", choices=("auto", "ref", "cpu", "cuda"), default="auto")
    add_dtype_argument(group)
    group.add_argument("--ticks", type=positive, default=12, help="per round (default 12)")
    group.add_argument(
        "--rounds", type=positive, default=4, help="alternating order: A B, B A, ... (default 4)"
    )
    parser.add_argument("--out", type=new_json, help="JSON record of everything, machine included")
    parser.add_argument("--picture", type=new_picture, help="picture of the speed-up (.png, .svg)")


def run(args: argparse.Namespace) -> Report:
    """Compile all cases, check them, time them in alternating order, report medians."""
    choice = choose(args)
    lanes = sorted(set(args.lanes or [1, cpus_allowed()]))
    stages = sorted(set(args.sweep))
    how = {"backend": args.backend, "dtype": args.dtype, "cut": args.cut}
    cases = make_cases(choice, stages=stages, lanes=lanes, **how)
    frames = probe_frames(cases[0].plan, n=8)
    checks = check_cases(cases, frames)
    _refuse_wrong(checks)
    peak = peak_gflops()
    with Progress("bench", total=args.rounds * len(cases), quiet=args.quiet) as bar:
        for number in range(args.rounds):
            for case in cases if number % 2 == 0 else reversed(cases):
                case.measure(frames, args.ticks)
                bar.step()
    document = _document(choice, cases, checks, peak, args)
    if args.out is not None:
        write_json(args.out, plain(document), where="bench")
    if args.picture is not None and not draw_speedup(document, args.picture):
        note(f"no picture: matplotlib is not installed. Run {install('viz')}.")
    return Report(document, _text(choice, document))


def _refuse_wrong(checks: Sequence[dict[str, Any]]) -> None:
    for check in checks:
        limit = _TOLERANCE * max(check["scale"], 1.0)
        if not check["max_difference"] <= limit:
            raise InternalError(
                f"[bench] {check['case']} with {check['stages']} stages and {check['lanes']} lanes "
                f"gives other results than {check['against']}: got a difference of "
                f"{check['max_difference']:.3g}, expected at most {limit:.3g}. "
                "Report this as a bug with the model."
            )


def macs_per_tick(graph: Graph) -> float:
    """Multiply-adds of an average tick, zero-padding taps counted."""
    return float(sum(node.macs / node.clock.period for node in graph.nodes))


def _document(
    choice: Choice,
    cases: Sequence[Case],
    checks: list[dict[str, Any]],
    peak: dict[str, Any],
    args: argparse.Namespace,
) -> dict[str, Any]:
    base = statistics.median(cases[0].rates_ticks_per_s)
    gflop = 2e-9 * macs_per_tick(choice.graph)
    rows = []
    for case, check in zip(cases, checks):
        rate = statistics.median(case.rates_ticks_per_s)
        output = case.graph.outputs[0]
        rows.append(
            {
                "case": case.kind,
                "stages": case.stages,
                "cut": case.cut,
                "lanes": case.lanes,
                "throughput_ticks_per_s": rate,
                "spread_ticks_per_s": max(case.rates_ticks_per_s) - min(case.rates_ticks_per_s),
                "speed_up": rate / base,
                **latency_summary(case.latencies_ms),
                "information_latency_ticks": output.information_latency_ticks,
                "gflops": gflop * rate,
                "max_difference": check["max_difference"],
                "compared_with": check["against"],
            }
        )
    reasons = state_reasons(choice.graph.wire("sequential", stages=1))
    return {
        "command": "bench",
        "model": choice.label,
        "random_weights": choice.random,
        "backend": cases[0].plan.backend,
        "isa": cases[0].plan.isa,
        "dtype": cases[0].plan.dtype,
        "ticks_per_round": args.ticks,
        "rounds": args.rounds,
        "gflop_per_tick": gflop,
        "peak": peak,
        "round_robin": "n/a (has state)" if reasons else "replicas of the sequential network",
        "state": reasons[:5],
        "rows": rows,
        "machine": machine_record(),
    }


def _text(choice: Choice, document: dict[str, Any]) -> str:
    header = (
        "case",
        "K",
        "lanes",
        "ticks/s",
        "speed-up",
        "p50 ms",
        "p99 ms",
        "inform. latency",
        "GFLOP/s",
        "max diff",
    )
    rows: list[tuple[object, ...]] = [
        (
            row["case"],
            row["stages"],
            row["lanes"],
            row["throughput_ticks_per_s"],
            row["speed_up"],
            row["computational_latency_p50_ms"],
            row["computational_latency_p99_ms"],
            row["information_latency_ticks"],
            row["gflops"],
            f"{row['max_difference']:.1g}",
        )
        for row in document["rows"]
    ]
    peak = document["peak"]
    lines = [
        f"{choice.title} on {document['machine']['cpu']}, backend {document['backend']} "
        f"{document['isa']} {document['dtype']}, {document['gflop_per_tick']:.2f} GFLOP per tick",
        "",
        table(header, rows),
        "",
        f"peak {peak['gflops']:.0f} GFLOP/s on {peak['threads']} thread(s) ({peak['probe']})",
        "medians of "
        f"{document['rounds']} rounds of {document['ticks_per_round']} ticks, alternating order; "
        "speed-up over the first row",
    ]
    if document["state"]:
        lines.append(f"round-robin: n/a (has state: {document['state'][0]}, ...)")
    return "\n".join(lines)
