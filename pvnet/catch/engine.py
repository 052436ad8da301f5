"""A way to run a network on live video: when it takes frames, and when their answers exist."""

from __future__ import annotations

from dataclasses import dataclass

from pvnet.runtime import Plan


@dataclass(frozen=True)
class Engine:
    """One row of the comparison.

    Frame k is taken at k * period_ms, and an answer exists latency_ms later. That answer is of the
    frame `late` ticks before.

    Attributes:
        name: of the row.
        plan: the compiled network, with a row per throw; ticks once per frame taken.
        period_ms: between two frames taken.
        latency_ms: from taking a frame until the answer of that tick exists.
        late: ticks by which answers are late, as the network was trained; 0 for predictive.
    """

    name: str
    plan: Plan
    period_ms: float
    latency_ms: float
    late: int = 0

    @property
    def delay_ms(self) -> float:
        """From the frame that an answer is about until the answer exists."""
        return self.late * self.period_ms + self.latency_ms

    @property
    def settle_ticks(self) -> int:
        """Ticks until answers no longer depend on what came before a still picture."""
        return max(self.plan.warm_up_ticks.values()) + 1


def frame_by_frame(plan: Plan, tick_ms: float) -> Engine:
    """All lanes share each frame; the next is taken when its answer is there."""
    return Engine("frame by frame", plan, tick_ms, tick_ms)


def round_robin(plan: Plan, lane_ms: float, lanes: int) -> Engine:
    """Each lane has a frame of its own: exact, and only for networks without state."""
    return Engine("round-robin", plan, lane_ms / lanes, lane_ms)


def pipelined(plan: Plan, tick_ms: float) -> Engine:
    """Exact answers, stages - 1 ticks late."""
    return Engine("pipelined", plan, tick_ms, tick_ms, plan.graph.n_stages - 1)


def predictive(plan: Plan, tick_ms: float) -> Engine:
    """Answers about the newest frame, from what every stage knows by then."""
    return Engine("predictive", plan, tick_ms, tick_ms)
