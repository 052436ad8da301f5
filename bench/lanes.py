"""Ticks per second on one lane and on N lanes, pipelined Par-DenseNet, alternating order.

    python bench/lanes.py [--stages 2] [--lanes 2] [--width 1.0] [--size 224]

Both plans have the same stages and wiring; their outputs are compared bit for bit first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np

import pvnet
from pvnet import models
from pvnet.models.random_weights import random_weights
from pvnet.report import plain, table
from pvnet.runtime.machine import machine_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="par_densenet")
    parser.add_argument("--stages", nargs="+", type=int, default=[2, 7])
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--ticks", type=int, default=10, help="per round")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (8, args.size, args.size, 3), dtype=np.uint8)
    rows = []
    for stages in args.stages:
        graph = models.build(
            args.model, width=args.width, size=args.size, stages=stages, wiring="pipelined"
        )
        weights = random_weights(graph, seed=0)
        streams = [
            pvnet.compile(
                (graph, weights), backend=args.backend, lanes=n, fixed_lanes=True
            ).stream()
            for n in (1, args.lanes)
        ]
        name = next(iter(streams[0].plan.outputs))
        for t in range(stages + 3):
            one, many = (np.asarray(s.tick(frames[t % 8])[name]) for s in streams)
            if not np.array_equal(one, many):
                sys.exit(f"{stages} stages, tick {t}: 1 lane and {args.lanes} lanes differ")
        rates: list[list[float]] = [[], []]
        for number in range(args.rounds):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                begin = time.perf_counter()
                for t in range(args.ticks):
                    streams[which].tick(frames[t % 8])
                rates[which].append(args.ticks / (time.perf_counter() - begin))
        one_rate, many_rate = (statistics.median(r) for r in rates)
        ratios = [b / a for a, b in zip(*rates)]
        rows.append(
            {
                "stages": stages,
                "lanes": args.lanes,
                "one_lane_ticks_per_s": one_rate,
                "lanes_ticks_per_s": many_rate,
                "speed_up": statistics.median(ratios),
                "speed_up_min": min(ratios),
                "speed_up_max": max(ratios),
            }
        )
    record = {"command": "bench/lanes.py", "model": args.model, "rows": rows}
    if args.json:
        print(json.dumps(plain({**record, "machine": machine_record()}), indent=1))
        return
    header = ("stages", "lanes", "1 lane ticks/s", "N lanes ticks/s", "speed-up", "min", "max")
    print(table(header, [tuple(row.values()) for row in rows]))


if __name__ == "__main__":
    main()
