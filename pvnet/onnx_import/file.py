"""An ONNX file as plain nodes, constants, inputs and outputs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.distribution import load
from pvnet.errors import FileError, UnsupportedError
from pvnet.files import reason
from pvnet.onnx_import.tensor import array_of

OLDEST, NEWEST = 11, 22
STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Node:
    """One operation of the file.

    Attributes:
        op: its type, with the domain before it where that is not the standard.
        name: its own, or its first output's.
        inputs: names of tensors; "" is an input that is left out.
        outputs: names of tensors.
        attrs: numbers, texts, lists, arrays and inner `Body` graphs.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict[str, Any]


@dataclass
class Body:
    """The nodes of a graph, or of a branch of one, in an order in which they can run."""

    nodes: list[Node]
    constants: dict[str, NDArray[Any]]
    outputs: list[str]


@dataclass
class File:
    """What a file holds.

    Attributes:
        body: the nodes and constants.
        inputs: (name, shape, element type) of what is no constant; None is an unknown length.
        opset: of the standard domain.
        folder: of the file.
    """

    body: Body
    inputs: list[tuple[str, list[int | None] | None, int]]
    opset: int
    folder: Path = field(default_factory=Path)


def read(source: str | os.PathLike[str] | bytes) -> File:
    """Reads a file, or its bytes.

    Raises:
        FileError: missing, damaged, or no ONNX model.
        UnsupportedError: an opset that is too old or too new.
        MissingPackageError: the package onnx is not installed.
    """
    onnx = load("onnx", "from_onnx")
    folder = Path() if isinstance(source, bytes) else Path(source).parent
    model = _parse(onnx, source)
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), 0)
    if not OLDEST <= opset <= NEWEST:
        raise UnsupportedError(
            f"[from_onnx] the opset is not supported: got {opset}, expected {OLDEST} to {NEWEST}. "
            f"Export the model again with opset_version=17."
        )
    if model.functions:
        load("onnx.inliner", "from_onnx")
        model = onnx.inliner.inline_local_functions(model)
    body = _body(model.graph, folder)
    inputs = [_input(i) for i in model.graph.input if i.name not in body.constants]
    if not body.outputs or not inputs:
        raise _no_model(f"{len(inputs)} inputs and {len(body.outputs)} outputs")
    return File(body, inputs, opset, folder)


def _parse(onnx: Any, source: str | os.PathLike[str] | bytes) -> Any:
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise FileError(
            f"[from_onnx] the model cannot be read: got {reason(error)} for {source!s}, expected "
            "an .onnx file. Check the path."
        ) from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's own, which differs between its versions
        raise _no_model(f"{len(data)} bytes that are none ({error})") from error
    if not model.HasField("graph"):
        raise _no_model("no graph")
    return model


def _no_model(got: str) -> FileError:
    return FileError(
        f"[from_onnx] the file is damaged or no ONNX model: got {got}, expected a network with "
        "inputs and outputs. Export or copy it again."
    )


def _input(value: Any) -> tuple[str, list[int | None] | None, int]:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return _text(value.name), None, kind.elem_type
    dims = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    return _text(value.name), [n if n is None or n > 0 else None for n in dims], kind.elem_type


def _body(graph: Any, folder: Path) -> Body:
    constants = {_text(t.name): array_of(t, folder) for t in graph.initializer}
    for sparse in graph.sparse_initializer:
        raise UnsupportedError(
            f"[from_onnx] sparse weights are not supported: got {sparse.values.name!r}, expected "
            "dense ones. Export the model without sparsity."
        )
    nodes = [_node(n, folder) for n in graph.node]
    return Body(_sorted(nodes), constants, [_text(o.name) for o in graph.output])


def _node(proto: Any, folder: Path) -> Node:
    domain = "" if proto.domain in STANDARD else f"{_text(proto.domain)}."
    inputs, outputs = tuple(map(_text, proto.input)), tuple(map(_text, proto.output))
    name = _text(proto.name) or next(filter(None, outputs), proto.op_type)
    attrs = {_text(a.name): _attribute(a, folder) for a in proto.attribute}
    return Node(domain + _text(proto.op_type), name, inputs, outputs, attrs)


def _text(name: Any) -> str:
    """A name; damaged ones reach Python as bytes."""
    return name if isinstance(name, str) else bytes(name).decode("utf-8", "replace")


def _attribute(proto: Any, folder: Path) -> Any:
    onnx = load("onnx", "from_onnx")
    if proto.type == onnx.AttributeProto.TENSOR:
        return array_of(proto.t, folder)
    if proto.type == onnx.AttributeProto.GRAPH:
        return _body(proto.g, folder)
    try:
        value = onnx.helper.get_attribute_value(proto)
    except ValueError as error:
        raise _no_model(f"an attribute {proto.name!r} without a type") from error
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _sorted(nodes: list[Node]) -> list[Node]:
    """The nodes so that none stands before what it reads."""
    makers: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.outputs:
            if name and makers.setdefault(name, i) != i:
                raise _no_model(f"two nodes that make {name!r}")
    waits = [{makers[n] for n in _reads(node) if n in makers} for node in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for i, needs in enumerate(waits):
        for j in needs:
            readers[j].append(i)
    ready = [i for i, needs in enumerate(waits) if not needs]
    order = []
    for i in ready:  # grows
        order.append(i)
        for j in readers[i]:
            waits[j].discard(i)
            if not waits[j]:
                ready.append(j)
    if len(order) < len(nodes):
        stuck = next(node.name for node, needs in zip(nodes, waits) if needs)
        raise _no_model(f"a circle through the node {stuck!r}")
    ranks = list(range(len(nodes)))
    return [nodes[i] for i in (ranks if order == ranks else order)]


def _reads(node: Node) -> set[str]:
    """What a node reads, its branches included."""
    names = set(node.inputs)
    for value in node.attrs.values():
        if isinstance(value, Body):
            names |= {name for inner in value.nodes for name in _reads(inner)} | set(value.outputs)
    return names


def as_float(array: NDArray[Any]) -> NDArray[np.float32]:
    """A constant of any type of numbers in f32."""
    return np.asarray(array, np.float32)
