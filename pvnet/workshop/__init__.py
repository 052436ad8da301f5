"""A workshop for CUDA kernels, by CuPy: compile a file, run it, compare it, sweep it, time it.

Needs a CUDA device and CuPy (extras `cupy12`, `cupy13`); docs/workshop.md has a worked example.
Everything but `reference` and `variants` raises MissingPackageError or UnsupportedError without.
"""

from __future__ import annotations

from pvnet.workshop.kernel import Kernel, load
from pvnet.workshop.reference import error, reference
from pvnet.workshop.sweep import Launch, Problem, Trial, results, sweep, variants
from pvnet.workshop.timing import Timing, time_kernel

__all__ = [
    "Kernel",
    "Launch",
    "Problem",
    "Timing",
    "Trial",
    "error",
    "load",
    "reference",
    "results",
    "sweep",
    "time_kernel",
    "variants",
]
