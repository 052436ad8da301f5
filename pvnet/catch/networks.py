"""The networks that look for the ball: Par-DenseNet with one heatmap, in two trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pvnet import runtime

_HERE = Path(__file__).parent


def network(wiring: Literal["sequential", "pipelined", "predictive"]) -> runtime.Model:
    """A network in 14 stages (`tools/train_catch.py` trained it).

    Args:
        wiring: "sequential" and "pipelined" have the same weights; "predictive" has weights that
            were trained on from them, to give the ball of the frame that arrives in the same tick.
    """
    own = runtime.load(_HERE / "predictive.safetensors")
    if wiring == "predictive":
        return own
    exact = runtime.load(_HERE / "sequential.safetensors")
    graph = exact.graph.wire(wiring, stages=own.graph.stage_lists)
    return runtime.Model(graph, exact.weights, dict(exact.metadata))
