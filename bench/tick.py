"""Microseconds of a tick from Python and from C whose network does nearly nothing: what each costs.

    python bench/tick.py [--rounds 30] [--ticks 2000] [--json]

The fastest round counts: other programs are in the others. The program in C reads its output, too;
it is left out where there is no C compiler (`CC`, else `cc`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gpu.machine import commit

import pvnet
from pvnet.runtime import Model
from pvnet.runtime.machine import machine_record

SOURCE = Path(__file__).parent / "cpp" / "tick.c"


def network() -> pvnet.Graph:
    """relu of four numbers."""
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=2, width=2)
    graph.output(graph.act(x, "relu", name="a"), name="y")
    return graph


def from_python(graph: pvnet.Graph, rounds: int, ticks: int) -> float:
    """Microseconds of a tick."""
    stream = pvnet.compile((graph, {}), lanes=1).stream()
    frame = np.array([[[-1.0, 2.0], [3.0, -4.0]]], np.float32)
    if not np.array_equal(stream.tick(frame)["y"][0], np.maximum(frame, 0)):
        sys.exit("not what the network computes")
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(ticks):
            stream.tick(frame)
        best = min(best, (time.perf_counter() - begin) / ticks)
    return 1e6 * best


def from_c(graph: pvnet.Graph, rounds: int, ticks: int) -> float | None:
    """Microseconds of a tick, or None without a C compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    (library,) = Path(pvnet.get_cmake_dir()).parents[1].glob("libpvnet.so*")
    with tempfile.TemporaryDirectory() as folder:
        model, program = f"{folder}/model.safetensors", f"{folder}/tick"
        pvnet.save(Model(graph, {}), model)
        build = [compiler, "-O2", f"-I{pvnet.get_include()}", str(SOURCE), str(library)]
        subprocess.run([*build, f"-Wl,-rpath,{library.parent}", "-o", program], check=True)
        run = [program, model, str(rounds), str(ticks)]
        return float(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout) / 1000


def main() -> None:
    """Two numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--ticks", type=int, default=2000, help="per round")
    parser.add_argument("--json", action="store_true", help="a record with the machine")
    args = parser.parse_args()
    graph = network()
    python = from_python(graph, args.rounds, args.ticks)
    c = from_c(graph, args.rounds, args.ticks)
    if args.json:
        found = {"python_us": python, "c_us": c}
        print(json.dumps({"commit": commit(), "machine": machine_record()} | found, indent=1))
        return
    print(f"{python:.1f} us a tick from Python")
    print("no C compiler" if c is None else f"{c:.2f} us a tick from C")


if __name__ == "__main__":
    main()
