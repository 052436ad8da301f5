"""Numbers of a run: throughput, computational latency, information latency, age, warm-up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pvnet.graph import Graph
from pvnet.runtime import Tick


@dataclass
class RunStats:
    """Collects ticks; `summary` says what they add up to.

    Attributes:
        latencies_ms: computational latency of every tick seen.
        last: the newest tick.
        warm_up_seen: ticks before the first valid output; None until one was valid.
    """

    latencies_ms: list[float] = field(default_factory=list)
    last: Tick | None = None
    warm_up_seen: int | None = None
    begin_s: float = field(default_factory=time.perf_counter)
    end_s: float = 0.0

    def add(self, tick: Tick) -> None:
        """Count one tick; the clock of the run stops at the last one counted."""
        self.end_s = time.perf_counter()
        if self.warm_up_seen is None and bool(np.all(tick.valid)):
            self.warm_up_seen = len(self.latencies_ms)
        self.latencies_ms.append(float(tick.latency_ms))
        self.last = tick

    def summary(self, graph: Graph) -> dict[str, Any]:
        """All numbers by name, units in the names.

        `throughput_ticks_per_s` counts the whole loop (reading, drawing, writing), and
        `tick_rate_ticks_per_s` the ticks alone: what the network could do were all else free.
        """
        elapsed_s = max(self.end_s - self.begin_s, 1e-9)
        total_ms = sum(self.latencies_ms)
        return {
            "ticks": len(self.latencies_ms),
            "throughput_ticks_per_s": len(self.latencies_ms) / elapsed_s,
            "tick_rate_ticks_per_s": 1e3 * len(self.latencies_ms) / max(total_ms, 1e-9),
            **latency_summary(self.latencies_ms),
            **graph_facts(graph),
            "warm_up_seen_ticks": self.warm_up_seen,
            "age_ticks": ages(self.last),
        }


def latency_summary(latencies_ms: Sequence[float]) -> dict[str, float | None]:
    """Median, 99th percentile and jitter (p99 - p50) of computational latencies in ms."""
    if not latencies_ms:
        return {
            "computational_latency_p50_ms": None,
            "computational_latency_p99_ms": None,
            "jitter_ms": None,
        }
    p50, p99 = (float(v) for v in np.percentile(np.asarray(latencies_ms, np.float64), [50, 99]))
    return {
        "computational_latency_p50_ms": p50,
        "computational_latency_p99_ms": p99,
        "jitter_ms": p99 - p50,
    }


def graph_facts(graph: Graph) -> dict[str, Any]:
    """What the graph declares: latency and warm-up of its first output, and the wiring."""
    first = graph.outputs[0]
    return {
        "wiring": graph.wiring,
        "stages": len(graph.stages),
        "information_latency_ticks": first.information_latency_ticks,
        "warm_up_ticks": first.warm_up_ticks,
        "hyper_period_ticks": graph.hyper_period,
    }


def ages(tick: Tick | None) -> dict[str, int] | None:
    """Age in ticks per stage, of the first batch row."""
    if tick is None:
        return None
    return {str(stage): int(np.asarray(age).ravel()[0]) for stage, age in tick.age.items()}


def age_text(age_ticks: dict[str, int] | None) -> str:
    """Youngest and oldest age of the stages that contribute something: `0`, `1-6`."""
    values = [age for age in (age_ticks or {}).values() if age >= 0]
    if not values:
        return "-"
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"
