"""The growing graph while from_torch walks an exported module."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class Refused(Exception):
    """Why one operation cannot be imported; collected and reported once for the whole module."""


_FUSABLE = ("conv3d", "linear", "add")


@dataclass(frozen=True)
class Value:
    """A tensor of the exported module as a node of the graph.

    Attributes:
        node: name of the graph node.
        shape: (c, h, w) of one frame.
        dims: dimensions of the torch tensor: 4 images, 5 clips, 2 after flatten.
        ticks: length of the clip that the value came from; 1 for images.
    """

    node: str
    shape: tuple[int, int, int]
    dims: int
    ticks: int = 1


class Importer:
    """Node specs, weights and values collected so far."""

    def __init__(self, *, causal: bool) -> None:
        self.causal = causal
        self.specs: list[dict[str, Any]] = []
        self.weights: dict[str, Tensor] = {}
        self.outputs: list[dict[str, str]] = []
        self.tensors: dict[str, Tensor] = {}
        self.values: dict[str, Value] = {}
        self.users: dict[str, int] = {}
        self.broken: set[str] = set()
        self._names: set[str] = set()

    def module_path(self, node: torch.fx.Node) -> str:
        """Path of the module an operation belongs to, "" at the top level."""
        stack = node.meta.get("nn_module_stack") or {}
        path = str(list(stack.values())[-1][0]) if stack else ""
        return path.removeprefix("L['self']").strip(".").replace("._modules", "")

    def add_input(self, node: torch.fx.Node, example: Tensor) -> None:
        """The one tensor the module takes, as the input node "frame"."""
        c, h, w = example.shape[1], example.shape[-2], example.shape[-1]
        self._names.add("frame")
        attrs = {"channels": c, "height": h, "width": w}
        self.specs.append(
            {"name": "frame", "op": "input", "inputs": [], "stage": 0, "attrs": attrs}
        )
        ticks = example.shape[2] if example.dim() == 5 else 1
        self.values[node.name] = Value("frame", (c, h, w), example.dim(), ticks)

    def add(
        self,
        node: torch.fx.Node,
        op: str,
        inputs: list[Value],
        attrs: dict[str, Any],
        shape: tuple[int, int, int],
    ) -> Value:
        """Appends a node of the graph, named after its path in the module."""
        path = self.module_path(node)
        name = re.sub(r"[^A-Za-z0-9_/-]", "/", path) if path else op
        if not re.match(r"[A-Za-z_]", name):
            name = f"_{name}"
        name = name[:120]
        unique, i = name, 1
        while unique in self._names:
            i += 1
            unique = f"{name}_{i}"
        self._names.add(unique)
        names = [v.node for v in inputs]
        self.specs.append({"name": unique, "op": op, "inputs": names, "stage": 0, "attrs": attrs})
        result = node.meta["val"]
        result = result[0] if isinstance(result, tuple | list) else result
        ticks = int(result.shape[2]) if result.dim() == 5 else inputs[0].ticks
        return Value(unique, shape, result.dim(), ticks)

    def value(self, argument: Any) -> Value:
        """The value of an argument that must be a map computed from the input."""
        found = self.values.get(getattr(argument, "name", ""))
        if found is None:
            raise Refused("an operand is a constant or a parameter, expected a computed map")
        return found

    def tensor(self, argument: Any) -> Tensor | None:
        """The parameter or buffer of an argument; None for None."""
        if argument is None:
            return None
        found = self.tensors.get(getattr(argument, "name", ""))
        if found is None:
            raise Refused("a weight is computed, expected a parameter or buffer")
        return found

    def fusable(self, argument: torch.fx.Node) -> dict[str, Any] | None:
        """The spec behind an argument that may take up what follows; nobody else reads it."""
        found = self.values[argument.name]
        spec = next(s for s in self.specs if s["name"] == found.node)
        shared = any(
            self.users.get(name, 1) != 1 for name, v in self.values.items() if v.node == found.node
        )
        fused = spec["attrs"].get("act", "none") != "none"
        return spec if spec["op"] in _FUSABLE and not shared and not fused else None
