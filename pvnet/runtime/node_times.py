"""How long every node of a compiled network takes."""

from __future__ import annotations

import numpy as np

from pvnet.runtime.plan import Plan


def node_times(plan: Plan, ticks: int = 20) -> dict[str, float]:
    """Microseconds per firing by node: the lower quartile of some ticks, after the warm-up."""
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
            costs[op["node"]] = float(np.percentile(list(per_tick.values()), 25)) / plan.batch
    return costs
