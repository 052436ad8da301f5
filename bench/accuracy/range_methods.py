"""Which method of `pvnet.calibrate` gives int8 the least noise, on clips that are not scored.

With and without corrections of biases; bf16 beside them.

    python bench/accuracy/range_methods.py [--models ...] [--clips 16]

Ranges come from figures of one seed, noise from those of another. Noise is the root mean square of
the first output's error against f32, over that of its deviation from its mean.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pvnet
from pvnet import data
from pvnet.report import table
from pvnet.runtime import Model
from pvnet.runtime.calibration.methods import METHODS
from pvnet.runtime.machine import machine_record

HERE = Path(__file__).parent
CALIBRATION, VALIDATION = 1000, 2000  # seeds; those that are scored have another
MODELS = ("par_inception_sequential", "par_densenet_sequential", "movenet_sequential")


def clips_of(model: Model, seed: int, clips: int, frames: int) -> list[NDArray[np.float32]]:
    """Frames [t, c, h, w] of rendered figures, as the network takes them."""
    how = "letterbox" if model.metadata.get("fit") == "letterbox" else "none"
    size = model.graph.nodes[0].shape[1:]
    spec = f"figures?n={clips}&seed={seed}"
    figures = data.open_dataset(spec, size=size, frames=frames, task="joints", crop=how)
    return [figures.get(i, np.random.default_rng(i)).frames for i in range(clips)]


def answers(plan: pvnet.Plan, clips: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The first output of every tick of every clip."""
    name = next(iter(plan.outputs))
    found = [np.ravel(t[name]) for clip in clips for t in plan.stream().run(clip, policy="block")]
    return np.stack(found).astype(np.float64)


def noise(found: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """Of answers, relative."""
    return float(np.sqrt(np.mean((found - exact) ** 2) / np.var(exact)))


def main() -> None:
    """A table and a record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--clips", type=int, default=16, help="for the ranges, and for the noise")
    parser.add_argument("--frames", type=int, default=16, help="of a clip")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="NODE", help="in f32")
    out = HERE / "records" / "low-precision" / "range_methods.json"
    parser.add_argument("--out", type=Path, default=out)
    args = parser.parse_args()
    rows = []
    for name in args.models:
        model = pvnet.models.pretrained(name)
        ranges_of, seen = (
            clips_of(model, seed, args.clips, args.frames) for seed in (CALIBRATION, VALIDATION)
        )
        exact = answers(pvnet.compile(model), seen)
        for method, correct in itertools.product(METHODS, (False, True)):
            ranges = pvnet.calibrate(
                model, ranges_of, method=method, correct=correct, leave_out=args.leave_out
            )
            plan = pvnet.compile(model, dtype="int8", ranges=ranges)
            rows.append(
                {
                    "model": name,
                    "method": method,
                    "correct": correct,
                    "noise": noise(answers(plan, seen), exact),
                }
            )
            print(rows[-1], flush=True)
        half = noise(answers(pvnet.compile(model, dtype="bf16"), seen), exact)
        rows.append({"model": name, "method": "bf16", "correct": False, "noise": half})
    by = {(row["model"], row["method"], row["correct"]): row["noise"] for row in rows}
    ways = [*itertools.product(METHODS, (False, True)), ("bf16", False)]
    lines = [[name, *(f"{by[(name, *way)]:.3f}" for way in ways)] for name in args.models]
    header = [f"{method}{', corrected' if correct else ''}" for method, correct in ways]
    print(table(["model", *header], lines))
    record = {"machine": machine_record(), "clips": args.clips, "left_out": args.leave_out}
    args.out.write_text(json.dumps(record | {"frames": args.frames, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
