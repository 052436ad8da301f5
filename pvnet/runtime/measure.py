"""Measured node times, for cutting stages and levelling lanes by what really takes long."""

from __future__ import annotations

from typing import Any

import numpy as np

from pvnet.runtime.compile import compile
from pvnet.runtime.model import to_model
from pvnet.runtime.plan import Plan


def measure_costs(source: Any, *, ticks: int = 20, isa: str | None = None) -> dict[str, float]:
    """Runs a model on one lane and times every node.

    Args:
        source: a Plan, or anything `pvnet.compile` takes.
        ticks: ticks to time, after the warm-up.
        isa: CPU instruction set to force.

    Returns:
        Median microseconds per firing by node, for `graph.wire(..., costs=...)` and
        `pvnet.compile(..., costs=...)`.

    """
    plan = (
        source
        if isinstance(source, Plan)
        else compile(to_model(source, "measure_costs"), lanes=1, isa=isa)
    )
    stream = plan.stream()
    frames = {
        name: np.zeros((plan.batch, *shape), np.float32) for name, shape in plan.inputs.items()
    }
    for _ in range(max(plan.warm_up_ticks.values(), default=0) + plan.hyper_period):
        stream.tick(frames)
    stream.trace_start(len(plan.ops) * (ticks + plan.hyper_period) * 4 * plan.lanes)
    for _ in range(max(ticks, plan.hyper_period)):
        stream.tick(frames)
    events = stream.trace_stop()
    costs: dict[str, float] = {}
    duration_us = (events["end_ns"] - events["begin_ns"]) / 1e3
    for index, op in enumerate(plan.ops):
        mine = events["op"] == index
        per_tick: dict[int, float] = {}
        for tick, us in zip(events["tick"][mine], duration_us[mine], strict=True):
            per_tick[int(tick)] = per_tick.get(int(tick), 0.0) + float(us)
        if per_tick:
            costs[op["node"]] = float(np.median(list(per_tick.values()))) / plan.batch
    return costs
