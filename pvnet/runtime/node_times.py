"""How long every node of a compiled network takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvnet.runtime.plan import Plan
from pvnet.runtime.plan_facts import PlanFacts
from pvnet.runtime.stream import Stream

_MOST_EVENTS = 2**26  # that a trace takes


def frames_for(plan: PlanFacts) -> dict[str, NDArray[np.float32]]:
    """Black frames of every input."""
    return {name: np.zeros((plan.batch, *shape), np.float32) for name, shape in plan.inputs.items()}


def quartile(times: list[float]) -> float:
    """The lower one: what other programs take is in the longer times."""
    return float(np.percentile(times, 25))


def trace_ticks(stream: Stream, ticks: int) -> dict[str, list[float]]:
    """Microseconds of every firing of all rows by node, over so many ticks or a hyper-period.

    An add that a convolution does takes none of its own.
    """
    plan = stream.plan
    frames = frames_for(plan)
    # Every row of a batch has events of its own.
    per_op = max(4, plan.batch) * plan.lanes
    stream.trace_start(min(len(plan.ops) * (ticks + plan.hyper_period) * per_op, _MOST_EVENTS))
    for _ in range(max(ticks, plan.hyper_period)):
        stream.tick(frames)
    events = stream.trace_stop()
    times: dict[str, list[float]] = {}
    duration_us = (events["end_ns"] - events["begin_ns"]) / 1e3
    for index, op in enumerate(plan.ops):
        mine = events["op"] == index
        per_tick: dict[int, float] = {}
        for tick, us in zip(events["tick"][mine], duration_us[mine], strict=True):
            per_tick[int(tick)] = per_tick.get(int(tick), 0.0) + float(us)
        if per_tick:
            times[op["node"]] = list(per_tick.values())
            if "sum" in op:
                times[op["sum"]] = [0.0] * len(per_tick)
    return times


def node_times(plan: Plan, ticks: int = 20) -> dict[str, float]:
    """Microseconds per firing by node: the lower quartile of some ticks, after the warm-up."""
    stream, frames = plan.stream(), frames_for(plan)
    for _ in range(max(plan.warm_up_ticks.values(), default=0) + plan.hyper_period):
        stream.tick(frames)
    return {n: quartile(t) / plan.batch for n, t in trace_ticks(stream, ticks).items()}
