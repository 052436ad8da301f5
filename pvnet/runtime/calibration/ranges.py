"""Ranges as model files keep them: JSON in the metadata, {"node": [low, high], ...}."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph

KEY = "ranges"  # in the metadata
Ranges = dict[str, tuple[float, float]]


def ranges_text(graph: Graph, ranges: Mapping[str, tuple[float, float]], where: str) -> str:
    """The text that a model file keeps; the numbers are those of f32.

    Args:
        graph: that they belong to.
        ranges: (low, high) by node.
        where: begins the messages.

    Raises:
        InvalidArgumentError: a name or numbers that `compile` would refuse.
    """
    names = {node.name for node in graph.nodes}
    found: dict[str, list[float]] = {}
    for name, pair in sorted(ranges.items()):
        if name not in names:
            raise InvalidArgumentError(
                f"[{where}] a range belongs to no node: got {name!r}, expected names of nodes of "
                "the graph. Calibrate this very network."
            )
        found[name] = list(_checked(name, pair, where))
    return json.dumps(found)


def _checked(name: str, pair: tuple[float, float], where: str) -> tuple[float, float]:
    try:
        with np.errstate(over="ignore"):
            low, high = (float(np.float32(end)) for end in pair)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not (-np.inf < low <= 0.0 <= high < np.inf):
        raise InvalidArgumentError(
            f"[{where}] the range of node {name!r} is none: got {pair!r}, expected two finite "
            "numbers, low <= 0 <= high. Give what pvnet.calibrate has found."
        )
    return low, high
