"""Builders of arithmetic: differences, quotients and numbers of every channel."""

from __future__ import annotations

from typing import Any

from pvnet.graph import arguments as arg
from pvnet.graph.arguments import Activation
from pvnet.graph.base import GraphBase, Node, Source


class Arithmetic(GraphBase):
    """Methods that add nodes; `Builders` says what they share."""

    def _two(
        self, op: str, x: Source, y: Source, act: Activation, phase: int, name: str | None
    ) -> Node:
        where = f"Graph.{op}"
        sources = [self._source(where, x), self._source(where, y)]
        attrs = {**arg.activation(where, act), "phase": arg.integer(where, "phase", phase)}
        return self._add(op, name, sources, attrs)

    def sub(
        self,
        x: Source,
        y: Source,
        *,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """X - y, then `act`; [c, 1, 1], [1, h, w] and [1, 1, 1] are broadcast on either side."""
        return self._two("sub", x, y, act, phase, name)

    def div(
        self,
        x: Source,
        y: Source,
        *,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """X / y, then `act`; [c, 1, 1], [1, h, w] and [1, 1, 1] are broadcast on either side."""
        return self._two("div", x, y, act, phase, name)

    def scale(
        self,
        x: Source,
        *,
        bias: bool = True,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """X * weight + bias, then `act`; weight and bias are [c], one number a channel."""
        where = "Graph.scale"
        attrs: dict[str, Any] = {
            "bias": arg.truth(where, "bias", bias),
            **arg.activation(where, act),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("scale", name, [self._source(where, x)], attrs)

    def prelu(self, x: Source, *, phase: int = 0, name: str | None = None) -> Node:
        """x, where it is below 0 times the weight [c] of its channel."""
        where = "Graph.prelu"
        attrs = {"phase": arg.integer(where, "phase", phase)}
        return self._add("prelu", name, [self._source(where, x)], attrs)
