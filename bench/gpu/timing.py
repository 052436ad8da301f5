"""How long ticks take: by events of the device, or by the wall clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SM = 2  # of the field `place` of a trace


class Watch:
    """Runs from its making: on a device between two events of the current cuda_stream."""

    def __init__(self, *, real: bool) -> None:
        self.torch = None
        if real:
            import torch

            self.torch = torch
            torch.cuda.synchronize()
            self.begin = torch.cuda.Event(enable_timing=True)
            self.begin.record()
        else:
            self.begin_s = time.perf_counter()

    def stop_us(self) -> float:
        """Microseconds until all that was asked of the device is done."""
        if self.torch is None:
            return 1e6 * (time.perf_counter() - self.begin_s)
        end = self.torch.cuda.Event(enable_timing=True)
        end.record()
        end.synchronize()
        return 1e3 * self.begin.elapsed_time(end)


class Ticker:
    """Ticks of a Stream one behind the other, asked for by the host.

    Attributes:
        way: "host" or "device": where the frames lie.
    """

    def __init__(
        self, stream: Any, frames: Sequence[Any], *, real: bool, way: str = "host"
    ) -> None:
        self.stream, self.frames, self.real, self.way = stream, frames, real, way
        self.count = 0

    def tick(self) -> Any:
        self.count += 1
        return self.stream.tick(self.frames[(self.count - 1) % len(self.frames)])

    def us(self, ticks: int) -> float:
        """Microseconds of a tick, over many."""
        watch = Watch(real=self.real)
        for _ in range(ticks):
            self.tick()
        return watch.stop_us() / ticks


def ticker(plan: Any, frames: np.ndarray, *, real: bool) -> Ticker:
    """The way with the least share of the host that this build takes; each on a fresh Stream."""
    if real:
        import torch

        on_device = [torch.from_numpy(np.ascontiguousarray(f)).cuda() for f in frames]
        try:
            found = Ticker(plan.stream(), on_device, real=True, way="device")
            found.us(1)
            return found
        except Exception as error:  # the other way is taken, and the row says so
            print(f"no frames on the device: {error}")
    return Ticker(plan.stream(), list(frames), real=real)


def traced_us(plan: Any, frames: np.ndarray, warm: int, ticks: int = 5) -> float | None:
    """Microseconds from the first tile of a tick to the end of its last: nothing of the host.

    The median of some ticks by the clock of the device; None where a trace has no SMs.
    """
    stream = plan.stream()
    for t in range(warm):
        stream.tick(frames[t % len(frames)])
    stream.trace_start(200_000)
    for t in range(ticks):
        stream.tick(frames[t % len(frames)])
    events = stream.trace_stop()
    events = events[events["place"] == SM]
    spans = []
    for tick in np.unique(events["tick"]):
        mine = events[events["tick"] == tick]
        spans.append(int(mine["end_ns"].max() - mine["begin_ns"].min()) / 1e3)
    return statistics.median(spans) if spans else None


def alternate(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, float]]:
    """Median, least and largest of every way, taken in the order A B C, C B A, ..."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
            found[name].append(ways[name]())
    return {
        name: {"us": statistics.median(us), "min_us": min(us), "max_us": max(us)}
        for name, us in found.items()
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50 and p99."""
    return {f"p{n}_us": float(np.percentile(np.asarray(values), n)) for n in (50, 99)}
