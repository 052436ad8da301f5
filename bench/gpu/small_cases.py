"""Six small networks, every kind of operation and executor, without torch: for compute-sanitizer.

python -m gpu.small_cases [--dry]
"""

from __future__ import annotations

import sys

import numpy as np

from gpu import networks
from gpu.networks import Target

# (model, stages, wiring, further arguments, dtype, executor, batch)
CASES = (
    ("par_inception", 3, "pipelined", {}, "bf16", "streams", 1),
    ("par_inception", 2, "predictive", {"clocks": "i3d"}, "f32", "graph", 1),
    ("par_densenet", 7, "predictive", {"skips": "head"}, "bf16", "packed", 1),
    ("par_densenet", 1, "sequential", {"temporal": 3}, "bf16", "group", 3),
    ("par_inception", "layers", "pipelined", {}, "bf16", "wave", 1),
    ("par_densenet", 2, "predictive", {"feedback": True}, "f32", "serial", 1),
)
TICKS = 4


def run(where: Target, number: int) -> bool:
    """A case: some ticks, a frozen row where there are several, and a reset."""
    name, stages, wiring, more, dtype, executor, batch = CASES[number]
    net = networks.net(name, stages, where, wiring=wiring, **more)
    dtype = dtype if dtype in where.dtypes else where.dtypes[0]
    stream = net.compile(where, dtype, executor, batch=batch).stream()
    frames = networks.frames_of(where, batch)
    for t in range(TICKS):
        rows = None if batch == 1 else [True] * (batch - 1) + [t % 2 == 0]
        outputs = stream.tick(frames[t], rows=rows).outputs
    stream.reset()
    outputs = stream.tick(frames[0]).outputs
    return all(np.isfinite(np.asarray(y)).all() for y in outputs.values())


def small(dry: bool) -> Target:
    """As in the dry run, also on a device: a sanitizer is some hundred times slower."""
    where = networks.target(dry)
    return Target(where.backend, where.isa, where.executors, where.dtypes, False, 32, 0.125)


def main() -> int:
    where = small("--dry" in sys.argv)
    right = [run(where, number) for number in range(len(CASES))]
    print(f"{sum(right)} of {len(right)} cases have finite outputs")
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
