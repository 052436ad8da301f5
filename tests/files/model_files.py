"""A small model built without pvnet: graph text and arrays, for both directions of the oracle."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]

GRAPH = {
    "format": "pvnet-graph",
    "version": 1,
    "wiring": "sequential",
    "nodes": [
        {
            "name": "x", "op": "input", "inputs": [], "stage": 0,
            "attrs": {"channels": 2, "height": 4, "width": 4},
        },
        {
            "name": "a", "op": "conv3d", "inputs": ["x"], "stage": 0,
            "attrs": {"out": 3, "kernel": [2, 3, 3], "padding": [1, 1], "norm": True},
        },
        {"name": "b", "op": "linear", "inputs": ["a"], "stage": 0, "attrs": {"out": 2}},
    ],
    "outputs": [{"name": "y", "node": "b"}],
}  # fmt: skip

SHAPES = {
    "a.weight": (3, 2, 2, 3, 3),
    "a.bias": (3,),
    "a.norm.weight": (3,),
    "a.norm.bias": (3,),
    "a.norm.running_mean": (3,),
    "a.norm.running_var": (3,),
    "b.weight": (2, 48),
    "b.bias": (2,),
}


def arrays(seed: int = 0) -> Arrays:
    """Weights of GRAPH: small fractions, exact in every floating type."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.integers(0, 64, shape) / 64).astype(np.float32) for name, shape in SHAPES.items()
    }


def metadata(**more: str) -> dict[str, str]:
    return {"pvnet_graph": json.dumps(GRAPH), "pvnet_version": "1", **more}
