"""Turns a trained model file into a shipped one: 16-bit kernels, measured scores in the metadata.

    python tools/ship_weights.py RUN/model.safetensors NAME --trained-on TEXT
        --records bench/accuracy/records/SETTING.jsonl --row EXPERIMENT/ROW

Kernels are written as F16, which halves the file; biases and norms stay F32. The scores are those
of one record of bench/accuracy.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

WEIGHTS = Path(__file__).parent.parent / "pvnet" / "models" / "weights"
SHOWN = ("pck@0.2_box", "pck@0.1_box", "pck@0.2_torso", "mean_error_px", "top1", "tick_top1")


def scores(path: Path, row: str) -> dict[str, object]:
    """The scores of a record with their intervals, and what they were measured on."""
    lines = path.read_text().splitlines()
    records = {f"{r['experiment']}/{r['name']}": r for r in map(json.loads, lines)}
    if row not in records:
        raise SystemExit(f"--row: got {row!r}, expected one of {', '.join(records)}")
    result = records[row]["result"]
    kept = {k: result[k] for k in ("data", "clips", "scored_ticks", "wiring", "stages")}
    for name in SHOWN:
        if result.get(name) is not None:
            kept[name] = round(result[name], 4)
            kept[f"{name}_interval"] = [round(v, 4) for v in result[f"{name}_interval"]]
    return kept


def write(source: Path, out: Path, more: dict[str, str]) -> None:
    """The model of `source` with 16-bit kernels, its metadata and `more`."""
    with safe_open(source, "pt") as file:
        metadata = dict(file.metadata())
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (no dict)
    tensors = {k: v.half() if v.dim() > 1 else v for k, v in tensors.items()}
    save_file(tensors, out, metadata | more)
    print(f"wrote {out.name}, {out.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("name", help="of the shipped file, without its ending")
    parser.add_argument("--records", type=Path, required=True, help="a JSONL of bench/accuracy")
    parser.add_argument("--row", required=True, metavar="EXPERIMENT/ROW", help="of these records")
    parser.add_argument("--trained-on", required=True, help="for people")
    args = parser.parse_args()
    more = {"trained_on": args.trained_on, "scores": json.dumps(scores(args.records, args.row))}
    write(args.model, WEIGHTS / f"{args.name}.safetensors", more)


if __name__ == "__main__":
    main()
