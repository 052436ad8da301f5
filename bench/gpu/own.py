"""Own networks: stages x executors x dtypes, microseconds of a tick, checked in the same run.

* Every executor gives the bits of `serial`.
* The pipelined plan gives the bits of the sequential one, K - 1 ticks later.
* The sequential plan is near the CPU's in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu import networks
from gpu.networks import NEAR, Net, Target
from gpu.record import Record, message, program
from gpu.timing import Ticker, alternate

# The ones with a goal of their own first.
CASES: tuple[tuple[str, int | str], ...] = (
    ("par_inception", "layers"), ("par_inception", 10), ("par_densenet", "layers"),
    ("par_densenet", 14), ("par_inception", 1), ("par_densenet", 1),
)  # fmt: skip
DRY_CASES = (("par_inception", 3), ("par_densenet", 1))
MORE_TICKS = 3  # checked beyond the first that has an output
WARM, TICKS, ROUNDS = 20, 100, 5
DRY_TICKS, DRY_ROUNDS = 1, 1


class Wanted:
    """What the sequential plan gives, by model and dtype; made once, and held against the CPU."""

    def __init__(self, where: Target, ticks: int) -> None:
        self.where, self.ticks = where, ticks
        self.frames = networks.frames_of(where)
        self.known: dict[tuple[str, str], tuple[list[np.ndarray], float]] = {}

    def of(self, name: str, dtype: str) -> tuple[list[np.ndarray], float]:
        """Outputs of every tick, and the largest distance from the CPU's over some of them."""
        if (name, dtype) not in self.known:
            net = networks.net(name, 1, self.where)
            serial = "serial" if self.where.executors else None
            outputs = networks.play(net.compile(self.where, dtype, serial), self.frames, self.ticks)
            cpu = networks.pvnet.compile((net.graph, net.weights), backend="cpu")
            want = networks.play(cpu, self.frames, min(self.ticks, 2 * networks.FRAMES))
            far = max(networks.far(a, b) for a, b in zip(outputs, want))
            self.known[name, dtype] = (outputs, far)
        return self.known[name, dtype]


def check(net: Net, name: str, dtype: str, executor: str | None, wanted: Wanted) -> dict[str, Any]:
    """Bits against the sequential plan's, and how far that one is from float32 on the CPU."""
    outputs, far = wanted.of(name, dtype)
    plan = net.compile(wanted.where, dtype, executor)
    got = networks.play(plan, wanted.frames, net.shift + MORE_TICKS)
    same = all(np.array_equal(a, b) for a, b in zip(got[net.shift :], outputs))
    return {"same_bits": same, "from_f32": far, "right": same and far <= NEAR[dtype]}


def measure(
    record: Record, where: Target, name: str, stages: int | str, dtype: str, wanted: Wanted
) -> None:
    """A row an executor, timed in turns."""
    net = networks.net(name, stages, where)
    tickers: dict[str, Ticker] = {}
    rows: dict[str, dict[str, Any]] = {}
    for executor in where.executors or (None,):
        key = executor or where.backend
        rows[key] = {"net": net.label, "dtype": dtype, "executor": key}
        try:
            rows[key] |= check(net, name, dtype, executor, wanted)
            stream = net.compile(where, dtype, executor).stream()
            tickers[key] = Ticker(stream, wanted.frames, real=where.real)
            tickers[key].us(WARM if where.real else 1)
        except Exception as error:  # one executor that fails leaves the others their turn
            rows[key] |= {"right": False, "error": message(error)}
            tickers.pop(key, None)
    ticks, rounds = (TICKS, ROUNDS) if where.real else (DRY_TICKS, DRY_ROUNDS)
    times = alternate({k: lambda t=t: t.us(ticks) for k, t in tickers.items()}, rounds)
    for key, row in rows.items():
        if key in times:
            row |= {**times[key], "frames": tickers[key].frames_on}
        record.add(**row)


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    record.note(networks.describe(where))
    cases = DRY_CASES if dry else CASES
    shift = max(networks.net(name, stages, where).shift for name, stages in cases)
    wanted = Wanted(where, shift + MORE_TICKS)
    for dtype in where.dtypes:
        for name, stages in cases:
            measure(record, where, name, stages, dtype, wanted)


if __name__ == "__main__":
    program("own", body)
