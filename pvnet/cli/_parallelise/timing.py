"""How long a tick of every wiring takes: measured on the lanes here, put together for more."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.cli._demo.lanes import measure_operations, schedule_of
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
    model: runtime.Model, wired: Mapping[str, Graph], frames: Frames, lanes: int, here: TickTimes
) -> TickTimes:
    """As on so many lanes: operations are timed on one, and every plan's own schedule shares them.

    What a wiring takes beyond its schedule on the lanes here (meetings, memory) it takes there,
    too.

    Args:
        model: with the weights.
        wired: its graph, "sequential" and "predictive".
        frames: that are shown.
        lanes: that are not here.
        here: measured on the lanes that are.
    """
    names = ("sequential", "predictive")

    costs: dict[str, dict[str, float]] = {}

    def plan_of(name: str, n: int) -> Plan:
        return runtime.compile((wired[name], model.weights), lanes=n, costs=costs.get(name))

    alone = [plan_of(name, 1) for name in names]
    times = dict(zip(names, measure_operations(alone, frames)))
    costs |= {name: runtime.measure_costs(plan) for name, plan in zip(names, alone)}

    def tick_ms(name: str, n: int) -> float:
        return float(times[name].tick_ms(schedule_of(plan_of(name, n))).mean())

    def there_ms(name: str, here_ms: float) -> float:
        beyond = here_ms - tick_ms(name, here.lanes) if here.lanes > 1 else 0.0
        return tick_ms(name, lanes) + max(0.0, beyond)

    parallel_ms = there_ms("predictive", here.predictive_ms)
    return TickTimes(
        lanes,
        here.one_lane_ms,
        there_ms("sequential", here.sequential_ms),
        parallel_ms,
        parallel_ms,
        simulated=True,
    )


def compile_all(
    model: runtime.Model, wired: Mapping[str, Graph], lanes: int | None
) -> dict[str, Plan]:
    """Plans of the wirings on all lanes, and of the sequential one on "one lane"."""
    plans = {
        name: runtime.compile((graph, model.weights), lanes=lanes, costs="measure")
        for name, graph in wired.items()
    }
    plans["one lane"] = runtime.compile((wired["sequential"], model.weights), lanes=1)
    return plans
