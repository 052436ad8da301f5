"""Model files: a graph and its weights in one safetensors file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from pvnet import _core
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.runtime.calibration import ranges as stored_ranges
from pvnet.runtime.calibration.ranges import Ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOLD = ("pretrained", "model", "task")  # what a repr shows of the metadata

Weights = dict[str, "NDArray[np.float32]"]


@runtime_checkable
class ExportsWeights(Protocol):
    """What a torch twin offers the runtime: `pvnet.nn.Network` without importing torch."""

    graph: Graph

    def export_weights(self) -> Weights:
        """All weights as float32 arrays, named as in a model file."""
        ...


@dataclass
class Model:
    """A graph with its weights, without torch.

    Attributes:
        graph: the network, wired.
        weights: float32 arrays named `<node>.weight`, `<node>.bias`, `<node>.norm.*`.
        metadata: free text kept in the file (labels, task, training data, ...).

    """

    graph: Graph
    weights: Weights
    metadata: dict[str, str] = field(default_factory=dict)

    def rewire(self, wiring: str, *, stages: int | list[list[str]] | None = None) -> Model:
        """The same weights with other timing; see `pvnet.Graph.wire`."""
        graph = self.graph.wire(wiring, stages=stages)
        return Model(graph, self.weights, dict(self.metadata))

    @property
    def ranges(self) -> Ranges:
        """(low, high) of nodes' values, which `pvnet.calibrate` found; {} without.

        Raises:
            FileError: the metadata "ranges" or "corrections" is none.
        """
        return stored_ranges.stored(self.metadata)

    def __repr__(self) -> str:
        """Graph, size and what the file says of itself; the weights themselves are too many."""
        count = sum(np.asarray(w).size for w in self.weights.values())
        told = "".join(f", {k}={self.metadata[k]!r}" for k in _TOLD if k in self.metadata)
        return f"Model({self.graph!r}, {count:,} parameters{told})"


class Opened(NamedTuple):
    """What `compile` needs of a model; the weights of a file stay in it until they are packed."""

    graph: Graph
    weights: Weights | _core.OpenModel
    metadata: dict[str, str]


def load(path: str | os.PathLike[str] | bytes | Model) -> Model:
    """Reads a model file (or its bytes).

    Args:
        path: a `.safetensors` file written by `pvnet.save`, or the bytes of one; a Model, such as
            `pvnet.models.pretrained` gives, is handed back.

    Raises:
        FileError: missing, damaged, no pvnet model, or from a newer version.

    """
    if isinstance(path, Model):
        return path
    source = path if isinstance(path, bytes) else os.fspath(path)
    graph, weights, metadata = _core.load_model(source)
    return Model(Graph.from_core(graph), weights, metadata)


def save(
    model: Model | ExportsWeights,
    path: str | os.PathLike[str],
    *,
    metadata: dict[str, str] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Writes graph and weights into one file as a whole; the old file survives a crash.

    A symbolic link stays, and what it points at is replaced.

    Args:
        model: a `pvnet.nn.Network` or a `Model`.
        path: the file to write, usually `*.safetensors`.
        metadata: free text to keep in the file; merged over the model's own.
        ranges: of `pvnet.calibrate`, for dtype "int8"; None: those that the model has.

    Raises:
        InvalidArgumentError: weights or ranges that do not fit the graph.
        FileError: the file cannot be written.

    """
    m = to_model(model, "save")
    merged = {**m.metadata, **(metadata or {})}
    if ranges is not None:
        merged = stored_ranges.keep(merged, m.graph, ranges, "save")
    _core.save_model(os.fspath(Path(path)), m.graph.core, m.weights, merged)


def to_model(source: object, where: str) -> Model:
    """A Model from all that is accepted: Model, Network, path, bytes, (graph, weights)."""
    if isinstance(source, Model):
        return source
    if isinstance(source, (str, os.PathLike, bytes)):
        return load(source)
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], Graph):
        return Model(source[0], {k: np.asarray(v) for k, v in dict(source[1]).items()})
    if isinstance(source, ExportsWeights):
        metadata = dict(getattr(source, "metadata", None) or {})
        return Model(source.graph, source.export_weights(), metadata)
    raise InvalidArgumentError(
        f"[{where}] this is no model: got {type(source).__name__}, expected a pvnet.nn.Network, a "
        "pvnet.runtime.Model, a path, or (graph, weights). Load or build a model first."
    )


def open_model(source: object, where: str) -> Opened:
    """What `to_model` takes, without a copy of a file's weights."""
    if isinstance(source, (str, os.PathLike, bytes)):
        file = _core.OpenModel(source if isinstance(source, bytes) else os.fspath(source))
        return Opened(Graph.from_core(file.graph), file, file.metadata)
    if isinstance(source, Opened):
        return source
    model = to_model(source, where)
    return Opened(model.graph, model.weights, model.metadata)
