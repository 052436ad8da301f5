"""One kernel in many variants: which are right, and which is the fastest."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.report import table
from pvnet.workshop.device import cupy
from pvnet.workshop.kernel import Define, Dim3, Kernel, load
from pvnet.workshop.reference import error
from pvnet.workshop.timing import Timing, time_kernel

Defines = Mapping[str, Define]


@dataclass(frozen=True)
class Launch:
    """How a variant is launched: blocks, threads of a block, bytes of dynamic shared memory."""

    grid: Dim3
    block: Dim3
    shared_bytes: int = 0


@dataclass(frozen=True)
class Problem:
    """What a kernel is given and what it must give; its parameters are the inputs, then the output.

    Attributes:
        inputs: numpy arrays, which go to the device, and numpy scalars (np.int32(3) for an int).
        expected: the output, of its shape and dtype.
        tolerance: largest error of a right result, see `error`.
    """

    inputs: Sequence[Any]
    expected: NDArray[Any]
    tolerance: float = 1e-6


@dataclass(frozen=True)
class Trial:
    """A variant: what came of it.

    Attributes:
        defines: macros of the variant.
        error: see `error`; None where it did not run.
        right: whether the error is within the tolerance.
        timing: None where it did not run or is not right.
        kernel: None where it does not compile.
        problem: why it did not compile or run; empty where it did.
    """

    defines: dict[str, Define]
    error: float | None = None
    right: bool = False
    timing: Timing | None = None
    kernel: Kernel | None = field(default=None, repr=False)
    problem: str = ""


def variants(**values: Iterable[Define]) -> list[dict[str, Define]]:
    """All combinations: `variants(TILE_H=(4, 8), TILE_W=(8, 16))` gives four."""
    names = list(values)
    return [dict(zip(names, chosen)) for chosen in itertools.product(*values.values())]


def sweep(
    path: str | os.PathLike[str],
    name: str,
    problem: Problem,
    trials: Iterable[Defines],
    launch: Callable[[Defines], Launch],
    *,
    rounds: int = 15,
    launches: int = 20,
) -> list[Trial]:
    """Compile, run, compare and time variants of a kernel.

    A variant that does not compile or launch, or is wrong, is reported and not timed. The output is
    filled with NaN (integers: their largest number) before a variant runs.

    Args:
        path: of the file.
        name: of the kernel.
        problem: inputs and expected output.
        trials: macros of each variant, see `variants`.
        launch: from the macros of a variant to how it is launched.
        rounds: see `time_kernel`.
        launches: see `time_kernel`.

    Returns:
        Right ones first, the fastest of them in front.

    Raises:
        MissingPackageError, UnsupportedError: there is no CuPy, driver or device.
        FileError: the file cannot be read.
    """
    module = cupy("workshop.sweep")
    inputs = [module.asarray(x) if isinstance(x, np.ndarray) else x for x in problem.inputs]
    output = module.empty(problem.expected.shape, problem.expected.dtype)

    def attempt(defines: Defines) -> Trial:
        own = dict(defines)
        try:
            kernel = load(path, name, defines=own)
        except InvalidArgumentError as refusal:
            return Trial(own, problem=str(refusal))
        plan = launch(own)

        def run() -> None:
            kernel(plan.grid, plan.block, [*inputs, output], shared_bytes=plan.shared_bytes)

        output.fill(_poison(problem.expected.dtype))
        try:
            run()
            result = module.asnumpy(output)
        except module.cuda.driver.CUDADriverError as refusal:
            return Trial(own, kernel=kernel, problem=f"does not run: {refusal}")
        off = error(result, problem.expected)
        if not off <= problem.tolerance:
            return Trial(own, error=off, kernel=kernel)
        timing = time_kernel(run, rounds=rounds, launches=launches)
        return Trial(own, error=off, right=True, timing=timing, kernel=kernel)

    return sorted((attempt(t) for t in trials), key=_rank)


def _rank(trial: Trial) -> tuple[int, float]:
    if trial.timing is not None:
        return 0, trial.timing.median_us
    return (2, 0.0) if trial.problem else (1, 0.0)


def _poison(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).max if dtype.kind in "iu" else np.nan


def results(trials: Sequence[Trial]) -> str:
    """A table of what `sweep` gave, as text."""
    names = list(trials[0].defines) if trials else []
    rows = [
        (
            *(trial.defines[name] for name in names),
            "right" if trial.right else "fails" if trial.problem else "wrong",
            trial.error,
            None if trial.timing is None else trial.timing.median_us,
            None if trial.timing is None else trial.timing.best_us,
            None if trial.kernel is None else trial.kernel.registers,
            None if trial.kernel is None else trial.kernel.local_bytes,
        )
        for trial in trials
    ]
    header = (*names, "result", "error", "median us", "best us", "registers", "local bytes")
    return table(header, rows)
