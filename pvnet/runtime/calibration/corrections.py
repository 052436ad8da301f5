"""What int8 adds to biases, so that rounded weights do not move the mean of a channel.

A convolution y = sum w x + b is computed with weights w + e, rounded to steps of their output
channel. That moves the mean of y by sum e mean(x), the same at all pixels, and what reads y adds
such shifts up. So minus that is the correction of b. Borders, where less than the whole kernel lies
on the map, count as its inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pvnet.runtime.calibration.ranges import bias_of
from pvnet.runtime.compile import compile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvnet.graph import Graph
    from pvnet.graph.facts import NodeInfo
    from pvnet.runtime.calibration.ranges import Range
    from pvnet.runtime.model import Model

# Their values are those of the nodes that they read.
PASS = ("concat", "delay", "feedback")
_HIGHEST = 127  # of a weight
_DIGITS = 4


def find_corrections(
    model: Model, ranges: Mapping[str, Range], means: Mapping[str, NDArray[np.float64]]
) -> dict[str, list[float]]:
    """Of every convolution of 8 bits with a bias, a number for every output channel.

    Args:
        model: in f32.
        ranges: that it is compiled with; any two plans with them have the same convolutions of 8
            bits.
        means: of every channel of every node that has values of its own.
    """
    if not ranges:
        return {}
    plan = compile(model, dtype="int8", ranges=dict(ranges), backend="cpu", lanes=1)
    scales = {
        value["node"]: value["scale"]
        for value in json.loads(plan.to_json())["values"]
        if "scale" in value
    }
    found = {}
    for name in dict.fromkeys(op["node"] for op in plan.ops if op.get("algorithm") == "int8"):
        if bias_of(model.graph, name) is None:
            continue
        sources = list(_sources(model.graph, model.graph.node(name), set()))
        of_maps = [means.get(node.name, np.zeros(node.shape[0])) for node in sources]
        steps = [np.full(node.shape[0], scales.get(node.name, 1.0)) for node in sources]
        moved = _moved(model, name, np.concatenate(of_maps), np.concatenate(steps))
        found[name] = [float(f"{-x:.{_DIGITS}g}") for x in moved]
    return found


def _sources(graph: Graph, node: NodeInfo, way: set[str]) -> Iterator[NodeInfo]:
    """Whose channels, one after another, the node reads."""
    for edge in node.inputs:
        source = graph.node(edge.node)
        if source.op in PASS and source.name not in way:
            yield from _sources(graph, source, way | {source.name})
        else:  # or a circle of them, into which nothing ever comes
            yield source


def _moved(
    model: Model, name: str, means: NDArray[np.float64], steps: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far rounded weights move the mean of every output channel."""
    attrs = model.graph.node(name).attrs
    folded = _folded(model.weights, name, attrs)
    groups = attrs.get("groups", 1)
    inputs = len(means) // groups
    means, steps = means.reshape(groups, 1, inputs, 1), steps.reshape(groups, 1, inputs, 1)
    scaled = (folded.reshape(groups, len(folded) // groups, inputs, -1) * steps).astype(np.float32)
    most = np.abs(scaled).max(axis=(2, 3), keepdims=True).astype(np.float64)
    step = np.where(most > 0, most, 1.0) / _HIGHEST
    error = np.rint(scaled / step) * step - scaled
    return np.ravel((error * (means / steps)).sum(axis=(2, 3)))


def _folded(
    weights: Mapping[str, NDArray[np.float32]], name: str, attrs: Mapping[str, Any]
) -> NDArray[np.float64]:
    """The weight with the batch norm in it."""
    weight = np.asarray(weights[f"{name}.weight"], np.float64)
    if not attrs.get("norm", False):
        return weight
    gamma, var = (
        np.asarray(weights[f"{name}.norm.{what}"], np.float64) for what in ("weight", "running_var")
    )
    scale: NDArray[np.float64] = gamma / np.sqrt(var + float(attrs["norm_eps"]))
    return np.multiply(weight, scale.reshape(-1, *[1] * (weight.ndim - 1)))
