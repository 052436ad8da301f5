"""What `pvnet bench` compares: each case is a graph, a number of lanes and a way to run it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.cli._common.network_choice import Choice
from pvnet.evaluate.rivals import state_reasons
from pvnet.graph import Graph

ROUND_ROBIN = "round-robin"
_EXTRA_WARM_TICKS = 2


@dataclass
class Case:
    """One row of the benchmark.

    Attributes:
        kind: sequential, round-robin, pipelined or predictive.
        graph: as wired for this case.
        lanes: CPU lanes; for round-robin the number of replicas, one lane each.
        plan: compiled once, before anything is timed.
        cut: how its stages were cut, as `pvnet.models.Rewired` says.
        rates_ticks_per_s: throughput, one value per round.
        latencies_ms: computational latency of every timed tick.
    """

    kind: str
    graph: Graph
    lanes: int
    plan: runtime.Plan
    cut: str = "one stage"
    rates_ticks_per_s: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.graph.stages)

    def measure(self, frames: Sequence[NDArray[Any]], ticks: int) -> None:
        """Run once over new streams, and keep throughput and latencies."""
        if self.kind == ROUND_ROBIN:
            rate, latencies = _round_robin(self.plan, frames, ticks, replicas=self.lanes)
        else:
            rate, latencies = _one_stream(self.plan, frames, ticks, warm=self._warm_ticks())
        self.rates_ticks_per_s.append(rate)
        self.latencies_ms += latencies

    def _warm_ticks(self) -> int:
        return self.stages + self.plan.hyper_period + _EXTRA_WARM_TICKS


def _one_stream(
    plan: runtime.Plan, frames: Sequence[NDArray[Any]], ticks: int, *, warm: int
) -> tuple[float, list[float]]:
    stream = plan.stream()
    for t in range(warm):
        stream.tick(frames[t % len(frames)])
    latencies = []
    begin = time.perf_counter()
    for t in range(ticks):
        latencies.append(stream.tick(frames[t % len(frames)]).latency_ms)
    return ticks / (time.perf_counter() - begin), latencies


def _round_robin(
    plan: runtime.Plan, frames: Sequence[NDArray[Any]], ticks: int, *, replicas: int
) -> tuple[float, list[float]]:
    """Frame i goes to replica i mod replicas; every replica has its thread, ticks drop the GIL."""
    streams = [plan.stream() for _ in range(replicas)]
    for stream in streams:
        for t in range(_EXTRA_WARM_TICKS):
            stream.tick(frames[t % len(frames)])
    latencies: list[list[float]] = [[] for _ in streams]
    start = threading.Barrier(replicas + 1)

    def work(replica: int) -> None:
        start.wait()
        for t in range(replica, ticks, replicas):
            latencies[replica].append(streams[replica].tick(frames[t % len(frames)]).latency_ms)

    threads = [threading.Thread(target=work, args=(r,), daemon=True) for r in range(replicas)]
    for thread in threads:
        thread.start()
    start.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    return ticks / (time.perf_counter() - begin), [ms for own in latencies for ms in own]


def make_cases(
    choice: Choice,
    *,
    stages: Sequence[int],
    lanes: Sequence[int],
    backend: str,
    dtype: str = "f32",
    cut: str = "preset",
) -> list[Case]:
    """All cases of a sweep, the baseline (sequential on the fewest lanes) first.

    Sequential and round-robin come for every number of lanes, pipelined and predictive for every
    K above 1 and every number of lanes. `cut` says where, as `pvnet.models.rewired` takes it.
    """
    from pvnet import models

    def case_of(kind: str, graph: Graph, lanes: int) -> Case:
        return _case(kind, graph, lanes, choice, backend=backend, dtype=dtype)

    cases = []
    flat = choice.graph.wire("sequential", stages=1)
    replicable = not state_reasons(flat)
    for n in lanes:
        cases.append(case_of("sequential", flat, n))
        if replicable and n > 1:
            cases.append(case_of(ROUND_ROBIN, flat, n))
    for wiring in ("pipelined", "predictive"):
        for k in (k for k in stages if k > 1):
            other = models.rewired(choice.model, wiring, k, cut=cut)
            more = [case_of(wiring, other.graph, n) for n in lanes]
            cases += [replace(case, cut=other.how) for case in more]
    return cases


def _case(
    kind: str, graph: Graph, lanes: int, choice: Choice, *, backend: str, dtype: str
) -> Case:
    replicas = kind == ROUND_ROBIN
    plan = runtime.compile(
        (graph, choice.weights),
        backend=backend,
        dtype=dtype,
        lanes=1 if replicas else lanes,
        fixed_lanes=True,
        pin=not replicas,  # pinned replicas would share the first CPU
    )
    return Case(kind, graph, lanes, plan)


def check_cases(cases: Sequence[Case], frames: Sequence[NDArray[Any]]) -> list[dict[str, Any]]:
    """Compare results before anything is timed.

    Sequential, round-robin and pipelined are compared with sequential on one lane, shifted by K-1;
    predictive with itself on the fewest lanes.

    Returns:
        One record per case: what it was compared with, the largest absolute difference and the
        scale (largest absolute value) of the reference.
    """
    ticks = max(case.stages + 2 * case.plan.hyper_period for case in cases) + 2
    outputs = [_outputs(case.plan, frames, ticks) for case in cases]
    first_predictive: dict[int, NDArray[np.float32]] = {}
    records = []
    for case, own in zip(cases, outputs):
        shift = case.stages - 1 if case.kind == "pipelined" else 0
        if case.kind == "predictive":
            reference = first_predictive.setdefault(case.stages, own)
            against = "predictive on the fewest lanes"
        else:
            reference = outputs[0]
            against = f"sequential, {cases[0].lanes} lane(s)" + (f", t - {shift}" if shift else "")
        expected = reference[: ticks - shift]
        records.append(
            {
                "case": case.kind,
                "stages": case.stages,
                "lanes": case.lanes,
                "against": against,
                "max_difference": float(np.max(np.abs(own[shift:] - expected))),
                "scale": float(np.max(np.abs(expected))),
            }
        )
    return records


def _outputs(plan: runtime.Plan, frames: Sequence[NDArray[Any]], ticks: int) -> NDArray[np.float32]:
    """First output of every tick: [ticks, elements] float32."""
    stream = plan.stream()
    name = next(iter(plan.outputs))
    rows = []
    for t in range(ticks):
        rows.append(np.array(stream.tick(frames[t % len(frames)])[name], np.float32).ravel())
    return np.stack(rows)
