"""Slower clocks of the deep layers: the mean tick of a hyper-period, and its worst phase."""

from __future__ import annotations

import numpy as np

from gpu import networks
from gpu.networks import Target
from gpu.record import Record, program
from gpu.timing import Watch, ticker

KINDS = ("single", "i3d", "halving")
ROUNDS = 30


def measure(record: Record, where: Target, kind: str, stages: int | str) -> None:
    net = networks.net("par_inception", stages, where, wiring="predictive", clocks=kind)
    plan = net.compile(where, where.dtypes[0])
    way = ticker(plan, networks.frames_of(where), real=where.real)
    rounds = ROUNDS if where.real else 1
    way.us(plan.hyper_period * (8 if where.real else 1))
    phases = np.zeros((rounds, plan.hyper_period))
    for turn in range(rounds):
        for phase in range(plan.hyper_period):
            watch = Watch(real=where.real)
            way.tick()
            phases[turn, phase] = watch.stop_us()
    back_to_back = way.us(plan.hyper_period * rounds)
    alone = np.median(phases, axis=0)
    record.add(
        net=net.label, clocks=kind, hyper_period=plan.hyper_period, gmac=net.gmac,
        us=back_to_back, worst_phase_us=float(alone.max()), best_phase_us=float(alone.min()),
    )  # fmt: skip


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    record.note(f"{networks.describe(where)}; {where.dtypes[0]}; phases one tick at a time")
    for stages in (2,) if dry else (10, 1):
        for kind in KINDS[:2] if dry else KINDS:
            measure(record, where, kind, stages)


if __name__ == "__main__":
    program("clocks", body)
