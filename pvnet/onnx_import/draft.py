"""The growing graph: operations of pvnet with their shapes and weights, before they are checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.view import Shape

Array = NDArray[np.float32]


@dataclass
class Op:
    """One node of the graph to be.

    Attributes:
        name: of the node.
        op: an operation of the graph, one of `PSEUDO`, or "channel_mean".
        inputs: names of nodes.
        attrs: as the core takes them.
        shape: (c, h, w).
        weights: by the name behind the node's: "weight", "bias", "norm.weight", ...
        origin: the node of the file that it comes from.
    """

    name: str
    op: str
    inputs: list[str]
    attrs: dict[str, Any]
    shape: Shape
    weights: dict[str, Array]
    origin: str

    @property
    def act(self) -> str:
        """The activation that it ends with."""
        return str(self.attrs.get("act", "none"))


# What the core does not have: parts of larger patterns, which are put together in patterns.py.
# A "channel_mean" is another one; alone it becomes a convolution.
PSEUDO = ("erf", "sqrt")


@dataclass
class Draft:
    """All nodes by name, in an order in which they can run."""

    ops: dict[str, Op] = field(default_factory=dict)
    origin: str = ""

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        attrs: Mapping[str, Any] | None = None,
        weights: Mapping[str, NDArray[Any]] | None = None,
        *,
        name: str | None = None,
    ) -> str:
        """Appends a node and returns its name, which comes from the file's."""
        unique = self.free(name or self.origin or op)
        c, h, w = (int(n) for n in shape)
        held = {k: np.ascontiguousarray(v, np.float32) for k, v in (weights or {}).items()}
        self.ops[unique] = Op(
            unique, op, list(inputs), dict(attrs or {}), (c, h, w), held, self.origin
        )
        return unique

    def free(self, name: str) -> str:
        """A name that no node has, of the letters that a node's may have."""
        base = word(name)
        unique, i = base, 1
        while unique in self.ops:
            i += 1
            unique = f"{base}_{i}"
        return unique

    def users(self, outputs: Sequence[str]) -> Counter[str]:
        """How often each node is read; an output counts as a reader."""
        return Counter([n for op in self.ops.values() for n in op.inputs] + list(outputs))

    def replace(self, old: str, new: str) -> None:
        """Makes every reader of a node read another one."""
        for op in self.ops.values():
            op.inputs = [new if n == old else n for n in op.inputs]

    def prune(self, outputs: Sequence[str]) -> None:
        """Leaves out what no output needs; inputs stay."""
        needed, waiting = set(), list(outputs)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += self.ops[name].inputs
        self.ops = {n: op for n, op in self.ops.items() if n in needed or op.op == "input"}


def word(name: str) -> str:
    """The name of a node or an output, made of another file's."""
    clean = re.sub(r"/+", "/", re.sub(r"[^A-Za-z0-9_/-]", "_", name)).strip("/-") or "node"
    return (clean if re.match(r"[A-Za-z_]", clean) else f"_{clean}")[:100]
