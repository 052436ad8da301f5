"""Ranges as model files keep them: JSON in the metadata, {"node": [low, high], ...}."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import numpy as np

from pvnet import _core
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph

# In the metadata; who changes weights drops both.
KEY, CORRECTIONS = KEYS = ("ranges", "corrections")
Range = tuple[float, float]


class Ranges(dict[str, Range]):
    """(low, high) of nodes' values, low <= 0 <= high, by node.

    Attributes:
        corrections: what int8 adds to the biases of nodes, a number for every output channel, by
            node; {} without. Copies as a plain dict have none.
    """

    def __init__(
        self,
        ranges: Mapping[str, Range] | Iterable[tuple[str, Range]] = (),
        corrections: Mapping[str, Iterable[float]] | None = None,
    ) -> None:
        super().__init__(ranges)
        self.corrections = {n: [float(x) for x in c] for n, c in (corrections or {}).items()}


def stored(metadata: dict[str, str]) -> Ranges:
    """Those that a model file keeps; {} without.

    Raises:
        FileError: the metadata "ranges" or "corrections" is none.
    """
    return Ranges(_core.stored_ranges(metadata), _core.stored_corrections(metadata))


def keep(
    metadata: Mapping[str, str], graph: Graph, ranges: Mapping[str, Range], where: str
) -> dict[str, str]:
    """The metadata with these ranges and their corrections in place of others.

    Args:
        metadata: of a model.
        graph: that they belong to.
        ranges: (low, high) by node; a plain dict has no corrections.
        where: begins the messages.

    Raises:
        InvalidArgumentError: names or numbers that `compile` would refuse.
    """
    kept = {key: text for key, text in metadata.items() if key not in KEYS}
    kept[KEY] = _ranges_text(graph, ranges, where)
    corrections = getattr(ranges, "corrections", {})
    if corrections:
        kept[CORRECTIONS] = _corrections_text(graph, corrections, where)
    return kept


def _ranges_text(graph: Graph, ranges: Mapping[str, Range], where: str) -> str:
    """The numbers are those of f32."""
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


def _checked(name: str, pair: Range, where: str) -> Range:
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


def _corrections_text(graph: Graph, corrections: Mapping[str, list[float]], where: str) -> str:
    """In as few digits as f32 needs: there is one for every channel."""
    channels = {node.name: node.shape[0] for node in graph.nodes if bias_of(graph, node.name)}
    found: dict[str, list[float]] = {}
    for name, numbers in sorted(corrections.items()):
        with np.errstate(over="ignore"):
            exact = np.asarray(numbers, np.float32)
        wanted = channels.get(name, 0)
        if not wanted or exact.shape != (wanted,) or not np.isfinite(exact).all():
            raise InvalidArgumentError(
                f"[{where}] corrections fit no bias of node {name!r}: got {exact.size} numbers, "
                f"expected {wanted} finite ones. Give what pvnet.calibrate has found."
            )
        found[name] = [float(str(x)) for x in exact]
    return json.dumps(found, separators=(",", ":"))


def bias_of(graph: Graph, name: str) -> str | None:
    """The weight that a correction of the node is added to; None: it has no bias."""
    node = graph.node(name)
    if node.op == "conv3d" and node.attrs["norm"]:
        return f"{name}.norm.bias"
    return f"{name}.bias" if node.op in ("conv3d", "linear") and node.attrs["bias"] else None
