"""What this machine is, for records: a number without its machine does not exist."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pvnet import _core
from pvnet.runtime.installation import info

_SGEMM_SIZE = 1024
_SGEMM_ROUNDS = 7


def cpus_allowed() -> int:
    """Number of CPUs this process may use, its container's quota counted."""
    return _core.usable_cpus()


def machine_record() -> dict[str, Any]:
    """Machine, system and pvnet's own facts; part of every JSON record.

    Of the environment without paths: a record is handed on, and where somebody's files lie is
    nobody's business.
    """
    facts = info()
    plain = {k: v for k, v in facts["environment"].items() if os.sep not in v}
    return {**facts, "environment": plain}


def core_to_core_ns() -> float | None:
    """Nanoseconds until a CPU sees what another has stored, of the first two of this process.

    Some 30 where they share a cache. Where they do not, maps that lanes hand over cost several
    times as much. Virtual machines are moved from one case to the other while they run.

    Returns:
        The best of some rounds; None where there is one CPU, or where other programs keep both.
    """
    found = _core.core_to_core_ns()
    return found if found >= 0 else None


def _places() -> Iterator[int]:
    """The CPUs of this process, or none where threads cannot be kept on one."""
    return iter(sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ())


def _stay_at(cpu: int | None) -> None:
    """New threads begin beside the one that starts them, and a probe is over before they part."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


def cores_at_once(cores: int, rounds: int = 5) -> float:
    """How many times the work of one core so many cores do at the same time.

    Work is fused multiply-adds in registers, so memory plays no part. It is less than the number of
    cores where other programs, or other guests of the host, have a share of them. Lanes gain
    no more than this, as long as those shares stay.

    Args:
        cores: from 1 on, at most `cpus_allowed()` to be of use.
        rounds: turns of one core and of all; their medians count.
    """
    walls: dict[int, list[float]] = {1: [], cores: []}
    places = _places()
    with ThreadPoolExecutor(cores, initializer=lambda: _stay_at(next(places, None))) as pool:
        for _ in range(rounds):
            for n, of in walls.items():
                begin = time.perf_counter()
                for probe in [pool.submit(_core.fma_peak_gflops) for _ in range(n)]:
                    probe.result()
                of.append(time.perf_counter() - begin)
    return cores * statistics.median(walls[1]) / statistics.median(walls[cores])


def peak_gflops() -> dict[str, Any]:
    """Arithmetic peak to compare with, GFLOP/s, and how it was found.

    The core's own probe (fused multiply-adds in registers, one core) where it has one; numpy's
    matrix product otherwise, which uses as many threads as its BLAS likes and stays below the peak.
    """
    probe = getattr(_core, "fma_peak_gflops", None)
    if probe is not None:
        return {"gflops": float(probe()), "probe": "fma", "threads": 1}
    rng = np.random.default_rng(0)
    a = rng.standard_normal((_SGEMM_SIZE, _SGEMM_SIZE)).astype(np.float32)
    out = np.empty_like(a)
    best_s = float("inf")
    for _ in range(_SGEMM_ROUNDS):
        begin = time.perf_counter()
        np.matmul(a, a, out=out)
        best_s = min(best_s, time.perf_counter() - begin)
    return {
        "gflops": 2e-9 * _SGEMM_SIZE**3 / best_s,
        "probe": "numpy sgemm, not the FMA peak",
        "threads": cpus_allowed(),
    }
