"""How long ticks last on this machine, several plans in turns."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet.runtime import Plan

_COLD_TICKS = 5


def tick_times(plans: Sequence[Plan], frame: NDArray[np.uint8], ticks: int) -> list[float]:
    """Median ms of a tick of each plan; the plans alternate, so that what disturbs one does all."""
    streams = [plan.stream() for plan in plans]
    samples: list[list[float]] = [[] for _ in plans]
    for tick in range(_COLD_TICKS + ticks):
        for stream, sample in zip(streams, samples):
            latency = float(stream.tick(frame).latency_ms)
            if tick >= _COLD_TICKS:
                sample.append(latency)
    return [statistics.median(sample) for sample in samples]


def time_beside_others(plan: Plan, frame: NDArray[np.uint8], lanes: int, ticks: int) -> float:
    """Median ms of a tick on one lane while lanes - 1 others like it run."""
    samples: list[list[float]] = [[] for _ in range(lanes)]
    begin = threading.Barrier(lanes)

    def run(sample: list[float]) -> None:
        stream = plan.stream()
        begin.wait()
        for tick in range(_COLD_TICKS + ticks):
            latency = float(stream.tick(frame).latency_ms)
            if tick >= _COLD_TICKS:
                sample.append(latency)

    threads = [threading.Thread(target=run, args=(sample,)) for sample in samples]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.median([ms for sample in samples for ms in sample])
