"""What the converters of operations work on: values by name, and the growing draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.draft import Draft
from pvnet.onnx_import.file import Node, as_float
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.settle import settle
from pvnet.onnx_import.view import Shape, View, nchw

Constant = NDArray[Any]
Value = Constant | View


@dataclass
class Importer:
    """State of one import.

    Attributes:
        opset: of the file.
        draft: nodes so far.
        values: constants and computed tensors by the file's name.
        notes: what the user should know, each once.
    """

    opset: int
    draft: Draft = field(default_factory=Draft)
    values: dict[str, Value] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def inputs(self, node: Node) -> list[Value | None]:
        """The values of all inputs; None for those that are left out."""
        return [self.values[name] if name else None for name in node.inputs]

    def has(self, node: Node, at: int) -> bool:
        """Whether an optional input is given."""
        return len(node.inputs) > at and bool(node.inputs[at])

    def view(self, node: Node, at: int = 0) -> View:
        """An input that must be computed from the frame."""
        value = self.values[node.inputs[at]] if self.has(node, at) else None
        if not isinstance(value, View):
            raise Refused("an operand is a constant, expected a computed map")
        return value

    def constant(self, node: Node, at: int) -> Constant | None:
        """An input that must be known; None where it is left out."""
        if not self.has(node, at):
            return None
        value = self.values[node.inputs[at]]
        if isinstance(value, View):
            raise Refused("a weight or a size is computed from the frame, expected a constant")
        return value

    def floats(self, node: Node, at: int) -> NDArray[np.float32]:
        """An input that must be known, as f32."""
        value = self.constant(node, at)
        if value is None:
            raise Refused(f"input {at} is missing")
        return as_float(value)

    def constants(self, node: Node) -> list[Constant | None]:
        """All inputs but the first, which must be known; the first one is None."""
        return [None, *(self.constant(node, at) for at in range(1, len(node.inputs)))]

    def shape(self, x: View) -> Shape:
        """(c, h, w) of the map behind a view."""
        return self.draft.ops[x.node].shape

    def map(self, x: View) -> tuple[str, Shape]:
        """A tensor [1, c, h, w] as a map in memory."""
        if len(x.dims) != 4 or x.dims[0]:
            raise Refused(f"an operand of shape {list(x.shape)}, expected a map [1, c, h, w]")
        node = settle(self.draft, x.node, *x.dims[1:])
        return node, self.draft.ops[node].shape

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        attrs: Mapping[str, Any] | None = None,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> View:
        """Appends a node; its value is [1, c, h, w]."""
        name = self.draft.add(op, inputs, shape, attrs, weights)
        return nchw(name, self.draft.ops[name].shape)

    def unary(
        self,
        x: View,
        op: str,
        attrs: Mapping[str, Any] | None = None,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> View:
        """Appends a node of the same shape, whose value lies as its input's does."""
        return View(self.draft.add(op, [x.node], self.shape(x), attrs, weights), x.dims)

    def scale(self, x: View, weight: Constant | float, bias: Constant | float = 0.0) -> View:
        """X * weight + bias, numbers or arrays of one number a channel."""
        c = self.shape(x)[0]
        held = {
            k: np.broadcast_to(np.asarray(v, np.float32).ravel(), (c,))
            for k, v in (("weight", weight), ("bias", bias))
        }
        return self.unary(x, "scale", {"bias": True}, held)

    def note(self, kind: str, name: str) -> None:
        """Keeps a thing to tell at the end."""
        self.notes.setdefault(kind, []).append(name)
