"""What the runtime answers on held-out videos, and whether pipelining is exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InternalError
from pvnet.runtime import Plan

Pieces = Sequence[NDArray[np.uint8]]
_TOLERANCE = 1e-4  # of the largest value; the cpu backend usually gives the same bits


def answer(plan: Plan, pieces: Pieces, every: int = 1) -> dict[str, list[NDArray[np.float32]]]:
    """Answers [t, c, h, w] for every n-th frame, by output, one array a video.

    Args:
        plan: of one row.
        pieces: videos, uint8 [t, h, w, 3].
        every: n.
    """
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in plan.outputs}
    stream = plan.stream()
    for piece in pieces:
        stream.reset()
        rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in found}
        for frame in piece[::every]:
            tick = stream.tick(frame)
            for name, shape in plan.outputs.items():
                rows[name].append(np.array(tick[name], np.float32).reshape(shape))
        for name, values in rows.items():
            found[name].append(np.stack(values))
    return found


def check_exact(sequential: Plan, pipelined: Plan, piece: NDArray[np.uint8]) -> dict[str, object]:
    """Compares pipelined answers with sequential ones K - 1 ticks before.

    Raises:
        InternalError: they differ by more than the order of additions can explain.
    """
    late = pipelined.graph.n_stages - 1
    wanted, got = answer(sequential, [piece]), answer(pipelined, [piece])
    largest, scale, equal, ticks = 0.0, 0.0, True, 0
    for name, (values,) in wanted.items():
        first = values[: len(values) - late]
        then = got[name][0][late:]
        ticks = len(first)
        equal = equal and np.array_equal(first, then)
        largest = max(largest, float(np.abs(first - then).max()))
        scale = max(scale, float(np.abs(first).max()))
    if not largest <= _TOLERANCE * max(scale, 1.0):
        raise InternalError(
            f"[parallelise] pipelined differs from sequential: got {largest:.3g}, expected at most "
            f"{_TOLERANCE * max(scale, 1.0):.3g}. Report this as a bug with the model."
        )
    return {"equal_bits": equal, "max_difference": largest, "ticks": ticks, "late_ticks": late}
