"""Scores shipped networks of joints and actions in f32 and in low precision, on the same clips.

    python bench/accuracy/low_precision.py [--data figures?n=512] [--dtypes f32 bf16 int8]

Every row is scored at emission time on the same ticks. The difference from f32 has a 95 % interval
over clips, drawn once for both. Networks of joints that were trained on photographs are scored on
rendered figures, too: what counts is the difference, not how well they do there. `--data
jhmdb:FOLDER` scores on people. A record of all rows goes to records/low-precision/.

int8 is calibrated as `pvnet.calibrate` does it by itself, on clips for training: those of the data
set that is scored, or other figures.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from pvnet import data, models, runtime
from pvnet.evaluate.evaluation import evaluate
from pvnet.evaluate.metrics import difference
from pvnet.report import table
from pvnet.runtime.calibration.ranges import keep
from pvnet.runtime.machine import machine_record

HERE = Path(__file__).parent
_SEED = 1000  # of the figures that int8 is calibrated on
MODELS = {
    "figures": (
        "par_inception_sequential",
        "par_inception_predictive10",
        "par_densenet_sequential",
        "par_densenet_predictive14",
        "par_densenet_demo_sequential",
        "par_densenet_demo_predictive",
        "movenet_sequential",
        "movenet_predictive7",
    ),
    "jhmdb": (
        "par_inception_jhmdb_sequential",
        "par_densenet_sequential",
        "par_densenet_predictive14",
        "movenet_sequential",
        "movenet_predictive7",
    ),
}
SCORES = {"actions": "tick_top1", "joints": "pck@0.2_box"}


def rows_of(
    name: str,
    spec: str,
    dtypes: list[str],
    clips: int | None,
    calibration_clips: int,
    left_out: list[str],
) -> list[dict[str, Any]]:
    """A row per dtype, the first of which the others are compared with."""
    model = models.pretrained(name)
    task = "actions" if name.startswith("par_inception") else "joints"
    opened = {
        train: data.open_dataset(
            _for_training(spec) if train else spec,
            train=train,
            size=model.graph.nodes[0].shape[1:],
            frames=32,
            task=task,
            crop="letterbox" if model.metadata.get("fit") == "letterbox" else "none",
        )
        for train in (False, *([True] if "int8" in dtypes else []))
    }
    rows: list[dict[str, Any]] = []
    first = None
    for dtype in dtypes:
        if dtype == "int8":
            model = calibrated(model, opened[True], calibration_clips, left_out)
        result = evaluate(
            model, opened[False], task=task, lanes=1, dtype=dtype, max_clips=clips, per_clip=True
        )
        score = SCORES[task]
        pairs = [[tuple(pair) for pair in result["per_clip"][score]]]
        first = first or pairs
        apart = difference(pairs, first)
        rows.append(
            {
                "model": name,
                "dtype": dtype,
                "isa": result["isa"],
                "score": score,
                "value": result[score],
                "difference": None if apart is None else apart[0],
                "interval": None if apart is None else apart[1],
                "clips": result["clips"],
                "scored_ticks": result["scored_ticks"],
            }
        )
    return rows


def _for_training(spec: str) -> str:
    """Figures are drawn by a seed; other sets have clips for training of their own."""
    if not spec.startswith("figures"):
        return spec
    kept = [p for p in spec.partition("?")[2].split("&") if p and p.split("=")[0] != "seed"]
    return "figures?" + "&".join([*kept, f"seed={_SEED}"])


def calibrated(
    model: runtime.Model, dataset: data.Dataset, clips: int, left_out: list[str]
) -> runtime.Model:
    """With ranges, by clips from all over the set: its classes may follow one another."""
    count = min(clips, len(dataset))
    chosen = [round((k + 0.5) * len(dataset) / count - 0.5) for k in range(count)]
    shown = (dataset.get(index, np.random.default_rng(index)) for index in chosen)
    ranges = runtime.calibrate(model, shown, leave_out=left_out)
    kept = keep(model.metadata, model.graph, ranges, "low_precision")
    return runtime.Model(model.graph, model.weights, kept)


def recorded(spec: str) -> str:
    """The specification without the folder, which is that of a machine."""
    kind, location, rest = re.fullmatch(r"(\w+)(:[^?]*)?(\?.*)?", spec).groups()  # type: ignore[union-attr]
    return kind + (":FOLDER" if location else "") + (rest or "")


def text_of(rows: list[dict[str, Any]]) -> str:
    """The rows as a table for people."""
    header = ("model", "dtype", "score", "value", "less f32", "95 % interval", "ticks")
    cells = []
    for r in rows:
        low, high = r["interval"] or (float("nan"), float("nan"))
        apart = f"{r['difference']:+.4f}" if r["difference"] is not None else ""
        value = f"{r['value']:.4f}"
        bounds = f"{low:+.4f} to {high:+.4f}"
        cells.append((r["model"], r["dtype"], r["score"], value, apart, bounds, r["scored_ticks"]))
    return table(header, cells)


def main(argv: list[str] | None = None) -> None:
    """Scores, prints and records."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--data", default="figures?n=512", metavar="SPEC")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16", "int8"])
    parser.add_argument("--models", nargs="+", help="default: those that know the data")
    parser.add_argument("--calibration-clips", type=int, default=48, metavar="N", help="of int8")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="NODE", help="of int8")
    parser.add_argument("--max-clips", type=int)
    parser.add_argument("--out", type=Path, help="default: records/low-precision/, by the data")
    args = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    kind = re.split(r"[:?]", args.data)[0]
    for name in args.models or MODELS.get(kind, MODELS["figures"]):
        rows += rows_of(
            name, args.data, args.dtypes, args.max_clips, args.calibration_clips, args.leave_out
        )
        print(text_of(rows[-len(args.dtypes) :]), flush=True)
    record = {
        "data": recorded(args.data),
        "calibration_clips": args.calibration_clips if "int8" in args.dtypes else None,
        "left_out": args.leave_out,
        "rows": rows,
        "machine": machine_record(),
    }
    out = args.out or HERE / "records" / "low-precision" / f"{kind}.json"
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
