"""Frames per second of N videos as rows of one Stream, beside one video alone, in turns.

    python bench/rows.py [--rows 8] [--lanes 1 2] [--json]
    python bench/rows.py --networks build/peers/mobilenet_v2/model.safetensors

Every row's outputs are compared bit for bit with those of its video alone first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import pvnet
from pvnet import models
from pvnet.models.random_weights import random_weights
from pvnet.report import plain, table
from pvnet.runtime.machine import machine_record, peak_gflops


def network(name: str, size: int) -> Any:
    """What `pvnet.compile` takes: a model file, or a built-in model with random weights."""
    if Path(name).exists():
        return pvnet.load(name)
    graph = models.build(name, size=size, wiring="sequential", stages=1)
    return graph, random_weights(graph, seed=0)


def compare(net: Any, rows: int, lanes: int, rounds: int) -> dict[str, float]:
    """ms per frame alone and in rows, and their ratio; exits where outputs differ."""
    plans = [pvnet.compile(net, lanes=lanes, batch=n, fixed_lanes=True) for n in (1, rows)]
    one, many = (plan.stream() for plan in plans)
    (shape,) = plans[0].inputs.values()
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((rows, 3, *shape[-3:])).astype(np.float32)
    together = [many.tick(clip[:, t]) for t in range(3)]
    for row in range(rows):
        one.reset()
        for t in range(3):
            for name, got in one.tick(clip[row : row + 1, t]).items():
                if not np.array_equal(np.asarray(got)[0], np.asarray(together[t][name])[row]):
                    sys.exit(f"row {row}, tick {t}, {name}: alone and in rows differ")
    times: tuple[list[float], list[float]] = ([], [])

    def measure(which: int) -> None:
        begin = time.perf_counter()
        if which == 1:
            many.tick(clip[:, 0])
        else:
            for row in range(rows):
                one.tick(clip[row : row + 1, 0])
        times[which].append((time.perf_counter() - begin) * 1e3 / rows)

    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            measure(which)
    alone_ms, rows_ms = (statistics.median(sample) for sample in times)
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    return {"alone_ms": alone_ms, "rows_ms": rows_ms, "rows_per_alone": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["par_inception", "par_densenet"])
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--lanes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--size", type=int, default=224, help="of built-in models, pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = []
    for name in args.networks:
        net = network(name, args.size)
        for lanes in args.lanes:
            title = Path(name).parent.name if Path(name).exists() else name
            found.append(
                {"network": title, "lanes": lanes, **compare(net, args.rows, lanes, args.rounds)}
            )
    peak = peak_gflops()
    if args.json:
        record = {"command": "bench/rows.py", "rows": args.rows, "networks": found, "peak": peak}
        print(json.dumps(plain({**record, "machine": machine_record()}), indent=1))
        return
    header = ("network", "lanes", "alone ms/frame", f"{args.rows} rows ms/frame", "frames/s ratio")
    print(table(header, [tuple(row.values()) for row in found]))
    print(f"peak of one core ({peak['probe']}): {peak['gflops']:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
