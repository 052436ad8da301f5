"""What a kernel must compute: the operation as pvnet's oracle computes it, in numpy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.runtime.compile import compile

Clip = NDArray[np.float32]


def reference(
    build: Callable[[Graph, Any], Any], weights: dict[str, NDArray[np.float32]] | None = None
) -> Callable[[Clip], Clip]:
    """A function from a clip to what an operation makes of it, by `backend="ref"`.

    Args:
        build: adds the operation to a graph, e.g.
            `lambda graph, x: graph.max_pool(x, (2, 3, 3), name="y")`; returns its node.
        weights: by name, as in a model file ("y.weight").

    Returns:
        A function of float32 [t, c, h, w] that gives float32 [t, c', h', w']: the held value after
        each of the t ticks, from an empty past on.
    """

    def run(clip: Clip) -> Clip:
        if clip.ndim != 4 or not len(clip):
            raise InvalidArgumentError(
                f"[workshop.reference] the clip has another shape: got {clip.shape}, expected "
                "[t, c, h, w] with t > 0. Add the axes that are missing."
            )
        graph = Graph()
        _, channels, height, width = clip.shape
        x = graph.input("x", channels=channels, height=height, width=width)
        graph.output(build(graph, x), name="y")
        stream = compile((graph, weights or {}), backend="ref").stream()
        frames = np.ascontiguousarray(clip, np.float32)
        return np.stack([np.array(stream.tick(frame)["y"][0]) for frame in frames])

    return run


def error(result: NDArray[Any], expected: NDArray[Any]) -> float:
    """Norm of the difference by the norm of what is expected; NaN where the result has one.

    Raises:
        InvalidArgumentError: the shapes differ.
    """
    if result.shape != expected.shape:
        raise InvalidArgumentError(
            f"[workshop.error] the shapes differ: got {result.shape}, expected {expected.shape}. "
            "Bring both to one order of axes."
        )
    exact = expected.astype(np.float64)
    off = float(np.linalg.norm(result.astype(np.float64) - exact))
    norm = float(np.linalg.norm(exact))
    return off / norm if norm > 0 else off
