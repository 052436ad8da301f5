"""Length of a tick beside a program that keeps the CPUs busy: 1 lane, N fixed lanes, N lanes.

    python bench/busy.py [--model par_densenet] [--lanes 2] [--busy 2] [--share 0.5]

Runs --busy processes that only count (0: a quiet machine), and the three plans in turn; their
outputs are compared bit for bit in every round. With --share they count in bursts of a millisecond,
as a thread does that decodes a video, and sleep for the rest of the time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from typing import Any

import numpy as np

import pvnet
from pvnet import models
from pvnet.models.random_weights import random_weights
from pvnet.report import plain, table
from pvnet.runtime.machine import machine_record, peak_gflops

_BURST_S = 1e-3


def count(share: float) -> None:
    """Keeps a CPU busy for a share of the time, until it is killed."""
    while True:
        end_s = time.perf_counter() + _BURST_S
        while time.perf_counter() < end_s:
            sum(range(1000))
        if share < 1:
            time.sleep(_BURST_S * (1 / share - 1))


def time_ticks(stream: pvnet.Stream, frames: np.ndarray, ticks: int) -> dict[str, Any]:
    """Some ticks: their times, how many were made alone, and the last output."""
    times, alone = [], 0
    for t in range(ticks):
        begin = time.perf_counter()
        tick = stream.tick(frames[t % len(frames)])
        times.append(1e3 * (time.perf_counter() - begin))
        alone += stream.lanes_used == 1
    return {"ms": times, "alone": alone, "last": np.asarray(tick[next(iter(stream.plan.outputs))])}


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per plan."""
    options = {"size": args.size, "width": args.width}
    graph = models.build(args.model, stages=args.stages, wiring=args.wiring, **options)
    model = (graph, random_weights(graph, seed=0))
    plans = {
        "1 lane": pvnet.compile(model, lanes=1),
        f"{args.lanes} fixed lanes": pvnet.compile(model, lanes=args.lanes, fixed_lanes=True),
        f"{args.lanes} lanes": pvnet.compile(model, lanes=args.lanes),
    }
    streams = {name: plan.stream() for name, plan in plans.items()}
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (8, args.size, args.size, 3), dtype=np.uint8)
    found: dict[str, dict[str, Any]] = {name: {"ms": [], "alone": 0} for name in streams}
    for number in range(args.rounds):
        order = list(streams) if number % 2 == 0 else list(streams)[::-1]
        now = {name: time_ticks(streams[name], frames, args.ticks) for name in order}
        first = now[order[0]]["last"]
        if not all(np.array_equal(first, n["last"]) for n in now.values()):
            sys.exit(f"round {number}: the plans differ")
        for name, one in now.items():
            found[name]["ms"] += one["ms"]
            found[name]["alone"] += one["alone"]
    return [
        {
            "plan": name,
            "mean_ms": statistics.fmean(f["ms"]),
            "p50_ms": statistics.median(f["ms"]),
            "p99_ms": float(np.percentile(f["ms"], 99)),
            "alone": f["alone"] / len(f["ms"]),
        }
        for name, f in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="par_densenet")
    parser.add_argument("--stages", type=int, default=1)
    parser.add_argument("--wiring", default="sequential")
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--busy", type=int, default=2, help="busy processes")
    parser.add_argument("--share", type=float, default=1.0, help="of the time that each is busy")
    parser.add_argument("--width", type=float, default=0.375)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--ticks", type=int, default=200, help="per round and plan")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    peak = peak_gflops()  # of a core that nobody else keeps busy
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=count, args=(args.share,), daemon=True) for _ in range(args.busy)
    ]
    for other in others:
        other.start()
    try:
        rows = measure(args)
    finally:
        for other in others:
            other.kill()
    settings = {k: v for k, v in vars(args).items() if k != "json"}
    record = {"command": "bench/busy.py", **settings, "peak": peak, "rows": rows}
    if args.json:
        print(json.dumps(plain({**record, "machine": machine_record()}), indent=1))
        return
    others_are = f"{args.busy} processes that are busy {100 * args.share:.0f} % of the time"
    print(f"{args.model}, {args.wiring}, {args.stages} stages beside {others_are}")
    print(f"FMA peak of one core {peak['gflops']:.0f} GFLOP/s")
    header = ("plan", "mean ms", "p50 ms", "p99 ms", "ticks alone")
    print(table(header, [tuple(row.values()) for row in rows]))


if __name__ == "__main__":
    main()
