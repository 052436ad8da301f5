"""Peak memory of compiling and running a network, beside what it must hold.

    python bench/memory.py [--networks resnet50 ...] [--rows 1] [--compile memory=small] [--json]

Every case has a process of its own: it imports pvnet, compiles a model file, and makes some ticks.
Its peak, less what it had after the import, is compared with packed weights, rings and arena.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pvnet
from pvnet import models, runtime
from pvnet.models.random_weights import random_weights
from pvnet.report import plain, table
from pvnet.runtime.machine import machine_record

MOST = 1.3  # peak over what is needed
_TICKS = 3
_MIB = 2**20


def resnet50() -> pvnet.Graph:
    """Its layers and weights; no training."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=224, width=224)
    x = g.conv3d(x, 64, kernel=(1, 7, 7), stride=(1, 2, 2), norm=True, act="relu")
    x = g.max_pool(x, kernel=(1, 3, 3), stride=(1, 2, 2))
    for width, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stride = (1, first, first) if block == 0 else (1, 1, 1)
            y = g.conv3d(x, width, kernel=(1, 1, 1), norm=True, act="relu")
            y = g.conv3d(y, width, kernel=(1, 3, 3), stride=stride, norm=True, act="relu")
            y = g.conv3d(y, 4 * width, kernel=(1, 1, 1), norm=True)
            if block == 0:
                x = g.conv3d(x, 4 * width, kernel=(1, 1, 1), stride=stride, norm=True)
            x = g.act(g.add([x, y]), "relu")
    g.output(g.linear(g.global_pool(x), 1000), name="logits")
    return g


def _built(name: str, **options: Any) -> Callable[[], runtime.Model]:
    def make() -> runtime.Model:
        graph = models.build(name, **options)
        return runtime.Model(graph, random_weights(graph, seed=0))

    return make


def _resnet50() -> runtime.Model:
    graph = resnet50()
    return runtime.Model(graph, random_weights(graph, seed=0))


NETWORKS: dict[str, Callable[[], runtime.Model]] = {
    "resnet50": _resnet50,
    "par_inception": _built("par_inception"),
    "par_inception, 10 stages": _built("par_inception", stages=10, wiring="predictive"),
    "par_densenet": _built("par_densenet"),
    "par_densenet, 14 stages": _built("par_densenet", stages=14, wiring="predictive"),
    "movenet": lambda: models.pretrained("movenet"),
}


def _status(key: str) -> int:
    """Bytes of a line of this process's status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"[memory] this system does not tell {key}: got no such line, expected Linux.")


def child(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """One case, in a process of its own."""
    before = _status("VmRSS")
    plan = pvnet.compile(path, **options)
    compiled = _status("VmHWM")
    stream = plan.stream()
    frames = {n: np.zeros((plan.batch, *shape), np.float32) for n, shape in plan.inputs.items()}
    for _ in range(_TICKS):
        stream.tick(frames)
    return {
        "before_bytes": before,
        "compile_peak_bytes": compiled,
        "peak_bytes": _status("VmHWM"),
        "resident_bytes": _status("VmRSS"),
        "weights_bytes": plan.weights_bytes,
        "rings_bytes": plan.state_bytes * plan.batch,
        "arena_bytes": plan.stream_bytes - plan.state_bytes * plan.batch,
        "isa": plan.isa,
        "algorithms": sorted({o["algorithm"] for o in plan.ops if "algorithm" in o}),
    }


def measure(model: runtime.Model, options: dict[str, Any]) -> dict[str, Any]:
    """The record of a network."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.safetensors")
        pvnet.save(model, path)
        file_bytes = Path(path).stat().st_size
        done = subprocess.run(
            [sys.executable, __file__, "--child", path, json.dumps(options)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(f"[memory] a case failed: {done.stderr.strip()}")
    row: dict[str, Any] = {"file_bytes": file_bytes, **json.loads(done.stdout)}
    needed = row["weights_bytes"] + row["rings_bytes"] + row["arena_bytes"]
    row["ratio"] = (row["peak_bytes"] - row["before_bytes"]) / needed
    return row


def main() -> None:
    """One row per network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rows", type=int, default=1, help="batch rows")
    parser.add_argument(
        "--compile", nargs="*", default=[], metavar="NAME=VALUE", help="further options of compile"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child[0], json.loads(args.child[1]))))
        return
    options = {"batch": args.rows, **dict(pair.split("=", 1) for pair in args.compile)}
    rows = [{"network": n, **measure(NETWORKS[n](), options)} for n in args.networks]
    if args.json:
        record = {"command": "bench/memory.py", "options": options, "rows": rows}
        print(json.dumps(plain({**record, "machine": machine_record()}), indent=1))
        return
    told = ("file", "before", "peak", "resident", "weights", "rings", "arena")
    cells = [
        (r["network"], *(f"{r[f'{k}_bytes'] / _MIB:.1f}" for k in told), f"{r['ratio']:.2f}")
        for r in rows
    ]
    print(table(("network (MiB)", *told, "(peak - before) / needed"), cells))
    print(f"the bar is {MOST}")


if __name__ == "__main__":
    main()
