"""A tick on two lanes by how far cores are apart: lanes share levels, or have whole stages.

    python bench/core_distance.py [--rounds 60] [--out FILE.json]

Plans take turns. A turn counts as near or far by the nanoseconds from core to core before and after
it. Virtual machines are moved between the two while they run. Elsewhere `taskset -c 0,8` chooses.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gpu.machine import commit
from scaling import check

import pvnet
from pvnet import files, models
from pvnet.models.random_weights import random_weights
from pvnet.report import plain, table
from pvnet.runtime.machine import core_to_core_ns, machine_record, peak_gflops

NEAR_NS = 80.0  # cores of one cache take some 30
_NETWORKS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "MoveNet Lightning": ("movenet", 7, {}),
    "Par-Inception temporal=1": ("par_inception", 10, {"temporal": 1, "window": 1}),
    "Par-DenseNet": ("par_densenet", 14, {}),
}
_SMALL = {"movenet": {"size": 64}}


def side_of(distances_ns: Sequence[float | None]) -> str | None:
    """Where a turn counts, by the distances before and after it; None where it does not."""
    if any(ns is None for ns in distances_ns):
        return None
    sides = {"near" if ns is not None and ns < NEAR_NS else "far" for ns in distances_ns}
    return sides.pop() if len(sides) == 1 else None


def plans_of(name: str, *, dry: bool) -> dict[str, pvnet.Plan]:
    """The ways of a network; lanes have given the bits of one lane."""
    model, stages, options = _NETWORKS[name]
    if dry:
        options = options | _SMALL.get(model, {"size": 64, "width": 0.125})
    found = {}
    for wiring, k in (("sequential", 1), ("predictive", stages)):
        graph = models.build(model, stages=k, wiring=wiring, **options)
        weights = (graph, random_weights(graph, seed=0))
        alone, shared = (pvnet.compile(weights, lanes=lanes, backend="cpu") for lanes in (1, 2))
        check([alone.stream(), shared.stream()], frames_of(alone), 2 * k, f"{name}, {wiring}")
        if k == 1:
            found["sequential, 1 lane"] = alone
        found[f"{wiring}, 2 lanes"] = shared
    return found


def frames_of(plan: pvnet.Plan) -> np.ndarray:
    """Some uint8 frames."""
    (channels, height, width), *_ = plan.inputs.values()
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, height, width, channels), dtype=np.uint8)


def turn(stream: pvnet.Stream, frames: np.ndarray, seconds: float) -> tuple[str | None, float]:
    """On which side it counts, and the median tick in ms."""
    before, times = core_to_core_ns(), []
    for t in range(3):
        stream.tick(frames[t])
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        stream.tick(frames[len(times) % len(frames)])
        times.append(1e3 * (time.perf_counter() - begin))
    return side_of((before, core_to_core_ns())), statistics.median(times)


def measure(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per plan."""
    streams = {way: plan.stream() for way, plan in plans_of(name, dry=args.dry).items()}
    frames = frames_of(next(iter(streams.values())).plan)
    found: dict[str, dict[str, list[float]]] = {way: {"near": [], "far": []} for way in streams}
    for number in range(args.rounds):
        for way in list(streams) if number % 2 == 0 else list(streams)[::-1]:
            side, ms = turn(streams[way], frames, args.seconds)
            if side is not None:
                found[way][side].append(ms)
    return [
        {
            "network": name,
            "way": way,
            **{f"{side}_ms": statistics.median(ms) if ms else None for side, ms in sides.items()},
            **{f"{side}_turns": len(ms) for side, ms in sides.items()},
        }
        for way, sides in found.items()
    ]


def main(argv: list[str] | None = None) -> None:
    """Measures, shows, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a turn")
    parser.add_argument("--dry", action="store_true", help="small sizes; its times say nothing")
    parser.add_argument("--out", type=Path, help="JSON record")
    args = parser.parse_args(argv)
    peak = peak_gflops()
    rows = [row for name in _NETWORKS for row in measure(name, args)]
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    record = {"command": "bench/core_distance.py", "commit": commit(), "made": made}
    record |= {"rounds": args.rounds, "seconds": args.seconds, "dry": args.dry, "near_ns": NEAR_NS}
    record |= {"peak": peak, "rows": rows, "machine": machine_record()}
    print(f"FMA peak of one core {peak['gflops']:.0f} GFLOP/s")
    header = ("network", "way", "near, ms", "far, ms", "turns near", "turns far")
    print(table(header, [tuple("" if v is None else v for v in row.values()) for row in rows]))
    if args.out is not None:
        files.write_whole(args.out, json.dumps(plain(record), indent=1) + "\n")


if __name__ == "__main__":
    main()
