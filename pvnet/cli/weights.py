"""Random weights for a network that has not been trained: to try shapes, speeds and wirings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pvnet.graph import Graph

Weights = dict[str, NDArray[np.float32]]


def random_weights(graph: Graph, *, seed: int = 0) -> Weights:
    """Seeded weights for every node of `graph`: He-scaled, so that activations keep their size.

    Args:
        graph: any graph; the weights depend on its nodes only, not on its wiring.
        seed: of the generator; each node draws from its own, so equal nodes in equal places are
            equal in every network that has them.

    Returns:
        float32 arrays `<node>.weight`, `<node>.bias`, `<node>.norm.*` as a model file holds them.
    """
    shapes = {node.name: node.shape for node in graph.nodes}
    weights: Weights = {}
    for index, node in enumerate(graph.nodes):
        if node.op not in ("conv3d", "linear"):
            continue
        rng = np.random.default_rng([seed, index])
        channels, height, width = shapes[node.inputs[0].node]
        out = int(node.attrs["out"])
        shape: tuple[int, ...] = (out, channels * height * width)
        if node.op == "conv3d":
            groups = int(node.attrs.get("groups", 1))
            shape = (out, channels // groups, *(int(k) for k in node.attrs["kernel"]))
        gain = 2.0 if node.attrs.get("act", "none") in ("relu", "silu") else 1.0
        scale = math.sqrt(gain / math.prod(shape[1:]))
        weights[f"{node.name}.weight"] = _normal(rng, shape, scale)
        if node.attrs.get("norm", False):
            weights[f"{node.name}.norm.weight"] = np.ones(out, np.float32)
            weights[f"{node.name}.norm.bias"] = _normal(rng, (out,), 0.05)
            weights[f"{node.name}.norm.running_mean"] = _normal(rng, (out,), 0.05)
            weights[f"{node.name}.norm.running_var"] = rng.uniform(0.8, 1.2, out).astype(np.float32)
        if node.attrs.get("bias", True):
            weights[f"{node.name}.bias"] = _normal(rng, (out,), 0.05)
    return weights


def _normal(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> NDArray[np.float32]:
    return (scale * rng.standard_normal(shape)).astype(np.float32)
