"""How long ticks take: by events of the device, or by the wall clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


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
    """Ticks of a Stream one behind the other, on frames that lie where the work is.

    Attributes:
        frames_on: "device" or "host": the second is there where the first is refused.
    """

    def __init__(self, stream: Any, frames: np.ndarray, *, real: bool) -> None:
        self.stream, self.real, self.count = stream, real, 0
        self.frames: Sequence[Any] = list(frames)
        self.frames_on = "host"
        if real:
            self._take_to_device()

    def _take_to_device(self) -> None:
        import torch

        on_device = [torch.from_numpy(np.ascontiguousarray(f)).cuda() for f in self.frames]
        try:
            self.stream.tick(on_device[0])
        except Exception:  # what is refused is measured the other way, and the row says so
            return
        self.frames, self.frames_on = on_device, "device"

    def tick(self) -> Any:
        self.count += 1
        return self.stream.tick(self.frames[self.count % len(self.frames)])

    def us(self, ticks: int) -> float:
        """Microseconds of a tick, over many."""
        watch = Watch(real=self.real)
        for _ in range(ticks):
            self.tick()
        return watch.stop_us() / ticks


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
