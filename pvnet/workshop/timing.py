"""How long a launch takes, by CUDA events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from pvnet.errors import InvalidArgumentError
from pvnet.workshop.device import cupy


@dataclass(frozen=True)
class Timing:
    """Microseconds of one launch, over rounds of many.

    Attributes:
        median_us: of the rounds.
        best_us: of the rounds.
        worst_us: of the rounds.
        rounds: how many.
        launches: of a round, one behind the other; the time of a round is shared by them.
    """

    median_us: float
    best_us: float
    worst_us: float
    rounds: int
    launches: int


def time_kernel(launch: Callable[[], None], *, rounds: int = 15, launches: int = 20) -> Timing:
    """Time a launch.

    The launches of a round are queued one behind the other, so that the host's share is hidden
    where it is shorter than the kernel. What they read stays in the caches as far as it fits.

    Args:
        launch: queues one launch on CuPy's current stream.
        rounds: measured ones; one more, not measured, goes before.
        launches: of a round.

    Raises:
        MissingPackageError, UnsupportedError: there is no CuPy, driver or device.
        InvalidArgumentError: rounds or launches are below 1.
    """
    if rounds < 1 or launches < 1:
        raise InvalidArgumentError(
            f"[workshop.time_kernel] rounds, launches: got {rounds}, {launches}, expected at least "
            "1 of both. Raise them."
        )
    module = cupy("workshop.time_kernel")
    times = [_round(module, launch, launches) for _ in range(rounds + 1)][1:]
    return Timing(median(times), min(times), max(times), rounds, launches)


def _round(module: Any, launch: Callable[[], None], launches: int) -> float:
    begin, end = module.cuda.Event(), module.cuda.Event()
    begin.record()
    for _ in range(launches):
        launch()
    end.record()
    end.synchronize()
    return float(module.cuda.get_elapsed_time(begin, end)) * 1e3 / launches
