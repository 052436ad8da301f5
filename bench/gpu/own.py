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
from gpu.timing import Ticker, alternate, ticker, traced_us

# The ones with a goal of their own first.
Case = tuple[str, int | str]
CASES: tuple[Case, ...] = (
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


def check(plan: Any, net: Net, wanted: list[np.ndarray], frames: np.ndarray) -> bool:
    """Whether a plan gives the bits of the sequential one, `net.shift` ticks later."""
    got = networks.play(plan, frames, net.shift + MORE_TICKS)
    return all(np.array_equal(a, b) for a, b in zip(got[net.shift :], wanted))


def measure(record: Record, where: Target, case: Case, dtype: str, wanted: Wanted) -> None:
    """A row: every executor, timed in turns. One that fails leaves the others their turn."""
    name, stages = case
    net = networks.net(name, stages, where)
    outputs, far = wanted.of(name, dtype)
    ticks, rounds = (TICKS, ROUNDS) if where.real else (DRY_TICKS, DRY_ROUNDS)
    tickers: dict[str, Ticker] = {}
    plans: dict[str, Any] = {}
    other_bits: list[str] = []
    errors: list[str] = []
    for executor in where.executors or (None,):
        key = executor or where.backend
        try:
            plan = net.compile(where, dtype, executor)
            if not check(plan, net, outputs, wanted.frames):
                other_bits.append(key)
            way = ticker(plan, wanted.frames, real=where.real)
            way.us(WARM if where.real else 1)
            tickers[key], plans[key] = way, plan
        except Exception as error:
            errors.append(f"{key}: {message(error)}")
    times = alternate({k: lambda t=t: t.us(ticks) for k, t in tickers.items()}, rounds)
    us = {f"{key}_us": found["us"] for key, found in times.items()}
    best = min(times, key=lambda key: times[key]["us"], default=None)
    streams = times.get("streams", {}).get("us")
    record.add(
        net=net.label,
        dtype=dtype,
        **us,
        best=best,
        best_traced_us=best and traced_us(plans[best], wanted.frames, net.shift + 1),
        streams_over_best=streams / times[best]["us"] if best and streams else None,
        other_bits=" ".join(other_bits) or None,
        from_f32=far,
        way=" ".join(sorted({t.way for t in tickers.values()})),
        times=times,
        right=not other_bits and not errors and far <= NEAR[dtype],
        error="; ".join(errors),
    )


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    record.note(networks.describe(where))
    cases = DRY_CASES if dry else CASES
    shift = max(networks.net(name, stages, where).shift for name, stages in cases)
    wanted = Wanted(where, max(shift + MORE_TICKS, networks.FRAMES))
    for dtype in where.dtypes:
        for case in cases:
            measure(record, where, case, dtype, wanted)


if __name__ == "__main__":
    program("own", body)
