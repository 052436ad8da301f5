"""Random weights for a network that has not been trained: to try shapes, speeds and wirings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pvnet.graph import Graph

Weights = dict[str, NDArray[np.float32]]
_SMALL = 0.05  # deviation of biases and running means


def random_weights(graph: Graph, *, seed: int = 0) -> Weights:
    """Seeded weights for every node of `graph`: He-scaled, so that activations keep their size.

    Args:
        graph: any graph; the weights depend on its nodes only, not on its wiring.
        seed: of the generators, one per array.

    Returns:
        float32 arrays `<node>.weight`, `<node>.bias`, `<node>.norm.*` as a model file holds them.
    """
    acts = {node.name: node.attrs.get("act", "none") for node in graph.nodes}
    weights: Weights = {}
    for index, (key, shape) in enumerate(graph.expected_weights()):
        rng = np.random.default_rng([seed, index])
        node, _, kind = key.partition(".")
        if kind == "weight" and len(shape) == 1:
            weights[key] = rng.uniform(0.8, 1.2, shape).astype(np.float32)
        elif kind == "weight":
            gain = 2.0 if acts[node] in ("relu", "silu") else 1.0
            weights[key] = _normal(rng, shape, math.sqrt(gain / math.prod(shape[1:])))
        elif kind == "norm.weight":
            weights[key] = np.ones(shape, np.float32)
        elif kind == "norm.running_var":
            weights[key] = rng.uniform(0.8, 1.2, shape).astype(np.float32)
        else:
            weights[key] = _normal(rng, shape, _SMALL)
    return weights


def _normal(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> NDArray[np.float32]:
    return (scale * rng.standard_normal(shape)).astype(np.float32)
