"""Times of plans, in turns, so that what other programs take falls on all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from pvnet.runtime.node_times import frames_for, quartile, trace_ticks
from pvnet.runtime.plan import Plan
from pvnet.runtime.stream import Stream

_WARM_TICKS = 2


def _warm(plan: Plan) -> Stream:
    """A stream in which every node has run; what it computes takes no other time when valid."""
    stream, frames = plan.stream(), frames_for(plan)
    begin = max(node.clock.origin for node in plan.graph.nodes)
    for _ in range(_WARM_TICKS + begin + plan.hyper_period):
        stream.tick(frames)
    return stream


def node_us(plans: Sequence[Plan], *, rounds: int, ticks: int) -> list[dict[str, float]]:
    """Microseconds per firing by node, of every plan."""
    streams = [_warm(plan) for plan in plans]
    seen: list[dict[str, list[float]]] = [{} for _ in plans]
    for number in range(rounds):
        order = range(len(plans)) if number % 2 == 0 else reversed(range(len(plans)))
        for which in order:
            for node, times in trace_ticks(streams[which], ticks).items():
                seen[which].setdefault(node, []).extend(times)
    return [
        {node: quartile(times) / plan.batch for node, times in of.items()}
        for plan, of in zip(plans, seen, strict=True)
    ]


def tick_us(plans: Sequence[Plan], *, rounds: int, ticks: int) -> list[float]:
    """Microseconds of a tick, of every plan: the median over rounds."""
    streams = [_warm(plan) for plan in plans]
    times: list[list[float]] = [[] for _ in plans]
    for number in range(rounds):
        order = range(len(plans)) if number % 2 == 0 else reversed(range(len(plans)))
        for which in order:
            frames, count = frames_for(plans[which]), max(ticks, plans[which].hyper_period)
            begin = time.perf_counter()
            for _ in range(count):
                streams[which].tick(frames)
            times[which].append(1e6 * (time.perf_counter() - begin) / count)
    return [float(np.median(of)) for of in times]
