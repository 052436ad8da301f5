"""The tick of a machine with more lanes than this one, from measured times of the stages.

Whole stages are put on lanes, the heaviest first on the emptiest lane. A tick lasts as long as the
slowest lane works, plus what a tick on one lane takes beside its stages (frame in, result out).
What lanes cost each other (barriers, memory) is not in it, and neither is what the runtime gains by
sharing one stage among lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.runtime import Plan

_TICKS = 40
_EVENTS_PER_OP = 4


@dataclass(frozen=True)
class StageTimes:
    """Measured on one lane, medians, by tick of the hyper-period.

    Attributes:
        work_ms: float64 [hyper_period, stages], work of every stage in a tick.
        rest_ms: of a tick beside its stages.
    """

    work_ms: NDArray[np.float64]
    rest_ms: float

    def tick_ms(self, lanes: int) -> NDArray[np.float64]:
        """Length float64 [hyper_period] of a tick with so many lanes."""
        lane_of = put_on_lanes(self.work_ms.mean(axis=0), lanes)
        per_lane = np.stack(
            [self.work_ms[:, lane_of == lane].sum(axis=1) for lane in range(lanes)], axis=1
        )
        return np.asarray(per_lane.max(axis=1) + self.rest_ms, np.float64)


def put_on_lanes(work_ms: NDArray[np.float64], lanes: int) -> NDArray[np.int64]:
    """Lane of every stage, int64 [stages]: the heaviest stage first, on the emptiest lane."""
    load = np.zeros(lanes)
    lane_of = np.zeros(len(work_ms), np.int64)
    for stage in np.argsort(-work_ms, kind="stable"):
        lane = int(load.argmin())
        lane_of[stage] = lane
        load[lane] += work_ms[stage]
    return lane_of


def measure_stages(plan: Plan, frames: Sequence[NDArray[np.uint8]]) -> StageTimes:
    """Trace a plan of one lane over some frames (repeated as needed)."""
    hyper, stages = plan.hyper_period, plan.graph.n_stages
    ticks = max(_TICKS, 3 * hyper)
    stream = plan.stream()
    warm = max(plan.warm_up_ticks.values()) + hyper
    for t in range(warm):
        stream.tick(frames[t % len(frames)])
    stream.trace_start(_EVENTS_PER_OP * len(plan.ops) * ticks)
    whole_ms = [stream.tick(frames[t % len(frames)]).latency_ms for t in range(ticks)]
    events = stream.trace_stop()
    stage_of_op = np.asarray([int(op["stage"]) for op in plan.ops], np.int64)
    work = np.zeros((ticks, stages))
    cells = (events["tick"] - warm, stage_of_op[events["op"]])
    np.add.at(work, cells, (events["end_ns"] - events["begin_ns"]) / 1e6)
    at = (warm + np.arange(ticks)) % hyper
    medians = [np.median(work[at == t], axis=0) for t in range(hyper)]
    rest_ms = float(np.median(np.asarray(whole_ms) - work.sum(axis=1)))
    return StageTimes(np.stack(medians), max(0.0, rest_ms))
