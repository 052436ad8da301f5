"""How long a tick of every wiring takes: measured on the lanes here, put together for more."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.cli._demo.lanes import measure_stages
from pvnet.evaluate.rivals import TickTimes
from pvnet.graph import Graph
from pvnet.runtime import Plan

Frames = Sequence[NDArray[np.uint8]]
_ROUNDS = 9
_ROUND_S = 0.2  # about, of one case in one round
_MIN_TICKS = 3


def measure(plans: Mapping[str, Plan], frames: Frames) -> dict[str, list[float]]:
    """Medians in ms of every plan, one a round; the rounds alternate, so that all see one machine.

    Args:
        plans: by name.
        frames: that are shown, again and again.
    """
    streams = {name: plan.stream() for name, plan in plans.items()}
    ticks = {}
    for name, stream in streams.items():
        warm = max(plans[name].warm_up_ticks.values()) + plans[name].hyper_period + 2
        spans = [stream.tick(frames[t % len(frames)]).latency_ms for t in range(warm)]
        ticks[name] = max(_MIN_TICKS, round(1e3 * _ROUND_S / max(spans[-1], 1e-3)))
    found: dict[str, list[float]] = {name: [] for name in plans}
    names = list(plans)
    for number in range(_ROUNDS):
        for name in names if number % 2 == 0 else reversed(names):
            spans = [
                streams[name].tick(frames[t % len(frames)]).latency_ms for t in range(ticks[name])
            ]
            found[name].append(statistics.median(spans))
    return found


def tick_times(medians: Mapping[str, Sequence[float]], lanes: int) -> TickTimes:
    """The smallest median of every case: what other programs took is in the larger ones.

    Where one lane alone is faster than all of them together (small networks, busy machines), it
    is what the wiring gets.
    """
    best = {name: min(values) for name, values in medians.items()}
    alone = best["one lane"] if lanes > 1 else min(best["one lane"], best["sequential"])
    sequential, pipelined, predictive = (
        min(alone, best[name]) for name in ("sequential", "pipelined", "predictive")
    )
    return TickTimes(lanes, alone, sequential, pipelined, predictive)


def simulate(
    sequential: Plan, predictive: Plan, frames: Frames, lanes: int, here: TickTimes
) -> TickTimes:
    """As on so many lanes, from times measured on one.

    Sequential shares every operation by its tiles. Depth-parallel networks have whole stages on
    lanes, the heaviest first. What either takes beyond that on the lanes here (barriers, memory)
    it takes there, too.

    Args:
        sequential: plan of one lane.
        predictive: plan of one lane.
        frames: that are shown.
        lanes: that are not here.
        here: measured on the lanes that are.
    """
    spent_us = runtime.measure_costs(sequential)
    stages = measure_stages(predictive, frames)
    rest_ms = max(0.0, here.one_lane_ms - sum(spent_us.values()) / 1e3)

    def shared_ms(n: int) -> float:
        each = (
            spent_us.get(op["node"], 0.0) / min(n, max(1, int(op["tiles"])))
            for op in sequential.ops
        )
        return sum(each) / 1e3 + rest_ms

    def staged_ms(n: int) -> float:
        return float(stages.tick_ms(n).mean())

    several = here.lanes > 1
    beyond = here.sequential_ms - shared_ms(here.lanes) if several else 0.0
    sequential_ms = shared_ms(lanes) + max(0.0, beyond)
    beyond = here.predictive_ms - staged_ms(here.lanes) if several else 0.0
    parallel_ms = staged_ms(lanes) + max(0.0, beyond)
    return TickTimes(
        lanes, here.one_lane_ms, sequential_ms, parallel_ms, parallel_ms, simulated=True
    )


def compile_all(
    model: runtime.Model, wired: Mapping[str, Graph], lanes: int | None
) -> dict[str, Plan]:
    """Plans of the wirings on all lanes, and of the sequential one on "one lane"."""
    plans = {
        name: runtime.compile((graph, model.weights), lanes=lanes) for name, graph in wired.items()
    }
    plans["one lane"] = runtime.compile((wired["sequential"], model.weights), lanes=1)
    return plans
