"""The tick of a machine with more lanes than this one, from measured times of the operations.

The operations are timed on one lane. The plan is compiled for N lanes, and its own schedule says
who would compute which tiles. Between two meetings of the lanes the busiest one counts. A tick
also has what one lane does beside the operations (frame in, result out). What lanes cost each
other (meetings, memory) is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.runtime import Plan

_TICKS = 24
_EVENTS_PER_OP = 4

# [tick of the hyper-period][superstep][lane]: (operation, first tile, end of the tiles)
Schedule = list[list[list[list[tuple[int, int, int]]]]]


@dataclass(frozen=True)
class OperationTimes:
    """Measured on one lane, medians, by tick of the hyper-period.

    Attributes:
        tile_ms: float64 [hyper_period, operations], a tile of every operation; 0 where it is not
            due.
        stage: int64 [operations], stage of each.
        tiles: int64 [operations], tiles of each.
        rest_ms: of a tick beside its operations.
    """

    tile_ms: NDArray[np.float64]
    stage: NDArray[np.int64]
    tiles: NDArray[np.int64]
    rest_ms: float

    @property
    def stage_ms(self) -> list[float]:
        """Mean work of every stage in a tick."""
        work = (self.tile_ms * self.tiles).mean(axis=0)
        return [float(work[self.stage == s].sum()) for s in range(int(self.stage.max()) + 1)]

    def tick_ms(self, schedule: Schedule) -> NDArray[np.float64]:
        """Length float64 [hyper_period] of a tick by a schedule."""
        out = []
        for t, supersteps in enumerate(schedule):
            ms = self.rest_ms
            for lanes in supersteps:
                ms += max((self._work_ms(t, lane) for lane in lanes), default=0.0)
            out.append(ms)
        return np.asarray(out, np.float64)

    def _work_ms(self, t: int, ranges: list[tuple[int, int, int]]) -> float:
        return float(sum(self.tile_ms[t, op] * (end - begin) for op, begin, end in ranges))


def schedule_of(plan: Plan) -> Schedule:
    """Who computes which tiles, by a plan for any number of lanes."""
    schedule: Schedule = json.loads(plan.to_json())["schedule"]
    return schedule


def meetings(schedule: Schedule) -> float:
    """How often all lanes meet in a tick, mean over the hyper-period."""
    return float(np.mean([len(supersteps) for supersteps in schedule]))


def measure_operations(
    plans: Sequence[Plan], frames: Sequence[NDArray[np.uint8]]
) -> list[OperationTimes]:
    """Trace plans of one lane over some frames (repeated as needed), in turns.

    What else the machine does then meets all of them alike.
    """
    traces = [_Trace(plan, frames) for plan in plans]
    for _ in range(max(_TICKS, *(3 * plan.hyper_period for plan in plans))):
        for trace in traces:
            trace.tick()
    return [trace.times() for trace in traces]


class _Trace:
    """The events of one plan, after its warm-up."""

    def __init__(self, plan: Plan, frames: Sequence[NDArray[np.uint8]]) -> None:
        self._plan, self._frames = plan, frames
        self._stream = plan.stream()
        self._warm = max(plan.warm_up_ticks.values()) + plan.hyper_period
        for t in range(self._warm):
            self._stream.tick(frames[t % len(frames)])
        self._whole_ms: list[float] = []
        ticks = max(_TICKS, 3 * plan.hyper_period)
        self._stream.trace_start(_EVENTS_PER_OP * len(plan.ops) * 4 * ticks)

    def tick(self) -> None:
        """One tick more."""
        frame = self._frames[len(self._whole_ms) % len(self._frames)]
        self._whole_ms.append(self._stream.tick(frame).latency_ms)

    def times(self) -> OperationTimes:
        """Medians over the ticks."""
        plan, ticks = self._plan, len(self._whole_ms)
        events = self._stream.trace_stop()
        work = np.zeros((ticks, len(plan.ops)))
        cells = (events["tick"] - self._warm, events["op"])
        np.add.at(work, cells, (events["end_ns"] - events["begin_ns"]) / 1e6)
        at = (self._warm + np.arange(ticks)) % plan.hyper_period
        medians = np.stack([np.median(work[at == t], axis=0) for t in range(plan.hyper_period)])
        tiles = np.asarray([int(op["tiles"]) for op in plan.ops], np.int64)
        stage = np.asarray([int(op["stage"]) for op in plan.ops], np.int64)
        rest_ms = float(np.median(np.asarray(self._whole_ms) - work.sum(axis=1)))
        return OperationTimes(medians / np.maximum(tiles, 1), stage, tiles, max(0.0, rest_ms))
