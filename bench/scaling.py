"""Ticks per second against lanes and stages, with the bound drawn.

    python bench/scaling.py [--models par_densenet par_inception] [--lanes 1 2 4 8 16]
                            [--wirings pipelined predictive] [--out FOLDER]

Lanes are 1 to all CPUs by default, stages are the presets. The plans of a cut take turns, and their
outputs are compared bit for bit first. A record and a picture per model lie in FOLDER.
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
from gpu.machine import commit

import pvnet
from pvnet import files, models
from pvnet.models.random_weights import random_weights
from pvnet.report import plain, table
from pvnet.runtime.machine import (
    cores_at_once,
    cpus_allowed,
    machine_record,
    peak_gflops,
)

PRESETS = {"par_densenet": (1, 2, 7, 14), "par_inception": (1, 2, 3, 5, 10)}
_STYLES = {"sequential": "s", "pipelined": "o", "predictive": "^"}


def bounds(graph: pvnet.Graph, costs: dict[str, float], lanes: int) -> dict[str, float]:
    """How many times faster than one lane a tick can be, by measured times of nodes.

    Lanes share a stage where its levels have tiles enough, so `cut` bounds only one lane a stage.
    """
    stages = [sum(costs.get(name, 0.0) for name in names) for names in graph.stage_lists]
    return {"lanes": float(lanes), "cut": sum(stages) / max(stages)}


def check(streams: list[Any], frames: np.ndarray, ticks: int, what: str) -> None:
    """Ends the program unless all streams give the same bits."""
    for t in range(ticks):
        outs = [stream.tick(frames[t % len(frames)]) for stream in streams]
        for name in streams[0].plan.outputs:
            first, *others = (np.array(out[name]) for out in outs)
            if not all(np.array_equal(first, other) for other in others):
                sys.exit(f"[scaling] {what}, tick {t}: lanes give other bits than one lane")


Rates = tuple[list[list[float]], list[list[float]]]


def rates(streams: list[Any], frames: np.ndarray, rounds: int, seconds: float) -> Rates:
    """Ticks per second by stream and round, in turns A B, B A; and `cores_at_once` of its lanes."""
    found: list[list[float]] = [[] for _ in streams]
    at_once: list[list[float]] = [[] for _ in streams]
    for number in range(rounds):
        for of, stream in zip(at_once, streams, strict=True):
            of.append(cores_at_once(stream.plan.lanes, rounds=1))
        order = range(len(streams)) if number % 2 == 0 else reversed(range(len(streams)))
        for which in order:
            begin, ticks = time.perf_counter(), 0
            while (took := time.perf_counter() - begin) < seconds or ticks < 2:
                streams[which].tick(frames[ticks % len(frames)])
                ticks += 1
            found[which].append(ticks / took)
    return found, at_once


def measure(model: str, stages: int, wiring: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of one cut, one per number of lanes."""
    graph = models.build(model, width=args.width, size=args.size, stages=stages, wiring=wiring)
    net = (graph, random_weights(graph, seed=0))
    costs = pvnet.runtime.measure_costs(net)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (8, args.size, args.size, 3), dtype=np.uint8)
    options: dict[str, Any] = {"costs": costs, "fixed_lanes": True, "backend": "cpu"}
    lanes = [1, *(n for n in args.lanes if n > 1)]
    streams = [pvnet.compile(net, lanes=n, **options).stream() for n in lanes]
    check(streams, frames, stages + 3, f"{model}, {wiring}, {stages} stages")
    found, at_once = rates(streams, frames, args.rounds, args.seconds)
    rows = []
    for n, stream, of, cores in zip(lanes, streams, found, at_once, strict=True):
        ratios = [many / one for many, one in zip(of, found[0], strict=True)]
        rows.append(
            {
                "model": model,
                "wiring": wiring,
                "stages": stages,
                "lanes": n,
                "ticks_per_s": statistics.median(of),
                "speed_up": statistics.median(ratios),
                "speed_up_min": min(ratios),
                "speed_up_max": max(ratios),
                "cores_at_once": statistics.median(cores),
                "bound_of_lanes": bounds(graph, costs, n)["lanes"],
                "bound_of_cut": bounds(graph, costs, n)["cut"],
                "state_bytes": stream.plan.state_bytes,
            }
        )
    return rows


def draw(path: Path, model: str, rows: list[dict[str, Any]]) -> None:
    """Ticks over lanes for every cut, and over stages for the most lanes, with the bounds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), dpi=120, layout="constrained")
    lanes = sorted({row["lanes"] for row in rows})
    left.plot(lanes, lanes, "k--", label="bound of the lanes")
    cores = [[r["cores_at_once"] for r in rows if r["lanes"] == n] for n in lanes]
    at_once = [statistics.median(of) for of in cores]
    left.plot(lanes, at_once, "k:", label="multiply-adds of as many cores at once")
    for i, (wiring, stages) in enumerate(dict.fromkeys((r["wiring"], r["stages"]) for r in rows)):
        mine = [r for r in rows if (r["wiring"], r["stages"]) == (wiring, stages)]
        label = wiring if stages == 1 else f"{wiring}, {stages} stages"
        y = np.array([r["speed_up"] for r in mine])
        low = y - [r["speed_up_min"] for r in mine]
        high = [r["speed_up_max"] for r in mine] - y
        left.errorbar(
            [r["lanes"] for r in mine], y, yerr=[low.clip(0), high.clip(0)], capsize=2,
            marker=_STYLES[wiring], color=f"C{i % 10}", label=label,
        )  # fmt: skip
    left.set(xlabel="lanes", ylabel="ticks per second, one lane of the same cut = 1", xticks=lanes)
    _over_stages(right, [r for r in rows if r["lanes"] == max(lanes)])
    for axes in (left, right):
        axes.set_ylim(0, None)
        axes.legend(fontsize="small", loc="lower right")
    figure.suptitle(model)
    files.save_figure(figure, path)
    pyplot.close(figure)


def _over_stages(axes: Any, rows: list[dict[str, Any]]) -> None:
    """What a cut's stages allow, where every stage has one lane, beside what was measured."""
    labels = sorted({r["stages"] for r in rows})
    for i, wiring in enumerate(dict.fromkeys(r["wiring"] for r in rows)):
        mine = [r for r in rows if r["wiring"] == wiring]
        x, color = [labels.index(r["stages"]) for r in mine], f"C{i}"
        axes.plot(x, [r["speed_up"] for r in mine], _STYLES[wiring], color=color, label=wiring)
        allowed = [min(r["bound_of_cut"], r["bound_of_lanes"]) for r in mine]
        axes.plot(x, allowed, "_", color=color, markersize=14, label=f"{wiring}: a lane a stage")
    axes.axhline(rows[0]["bound_of_lanes"], color="k", linestyle="--", label="bound of the lanes")
    axes.set(xlabel="stages", ylabel=f"the same on {rows[0]['lanes']} lanes")
    axes.set_xticks(range(len(labels)), [str(n) for n in labels])


def main() -> None:
    """Models one after the other; each writes its record and picture when it is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--lanes", nargs="+", type=int, default=[*range(1, cpus_allowed() + 1)])
    parser.add_argument("--stages", nargs="+", type=int, help="default: the presets of a model")
    parser.add_argument(
        "--wirings", nargs="+", choices=("pipelined", "predictive"),
        default=["pipelined", "predictive"],
    )  # fmt: skip
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=0.6, help="of a turn")
    parser.add_argument("--out", type=Path, default=Path("build/scaling"), metavar="FOLDER")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for model in args.models:
        rows: list[dict[str, Any]] = []
        for stages in args.stages or PRESETS[model]:
            for wiring in ["sequential"] if stages == 1 else args.wirings:
                rows += measure(model, stages, wiring, args)
        record = {
            "command": "python bench/scaling.py",
            "commit": commit(),
            "model": model,
            "width": args.width,
            "size": args.size,
            "rounds": args.rounds,
            "seconds": args.seconds,
            "rows": rows,
            "peak": peak_gflops(),
            "machine": machine_record(),
        }
        text = json.dumps(plain(record), indent=1) + "\n"
        files.write_whole(args.out / f"{model}.json", text)
        draw(args.out / f"{model}.png", model, rows)
        header = (
            *("wiring", "stages", "lanes", "ticks/s", "speed-up", "min", "max", "cores"),
            "cut's bound",
        )
        keys = ("wiring", "stages", "lanes", "ticks_per_s", "speed_up", "speed_up_min")
        more = ("speed_up_max", "cores_at_once", "bound_of_cut")
        cells = [[r[k] for k in (*keys, *more)] for r in rows]
        print(f"{model}: {args.out / f'{model}.json'} and .png")
        print(table(header, cells), flush=True)


if __name__ == "__main__":
    main()
