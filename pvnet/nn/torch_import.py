"""The growing graph while from_torch walks an exported module."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx


class Refused(Exception):
    """Why one operation cannot be imported; collected and reported once for the whole module.

    Args:
        reason: what is wrong; numbers in it do not make it another kind of refusal.
        cure: a sentence with what to do instead, "" for the usual one.
    """

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason)
        self.cure = cure


# Ops that can apply an activation to what they compute.
_ACTIVATING = ("conv3d", "linear", "add", "mul", "sub", "div", "scale", "group_norm", "layer_norm")


@dataclass(frozen=True)
class Value:
    """A tensor of the exported module as (a view of) the value of a graph node.

    Attributes:
        node: name of the graph node.
        shape: (c, h, w) of one frame of the node.
        dims: dimensions of the torch tensor: 4 images, 5 clips, 2 after flatten.
        batch: of the torch tensor.
        ticks: frames of the node's clip in the torch program; 1 for images.
        index: int64, shaped as the torch tensor: where each of its elements lies in the node's
            value [b, c, t, h, w], counted in that order. None: all of them, in order.
    """

    node: str
    shape: tuple[int, int, int]
    dims: int
    batch: int
    ticks: int = 1
    index: Tensor | None = None


@dataclass(frozen=True)
class Target:
    """A node that may still change what it computes, since nobody has read it.

    Attributes:
        spec: of the node.
        repeat: channels of the node behind one channel of the value (transposed convolutions).
    """

    spec: dict[str, Any]
    repeat: int = 1


def _is_on(node: str, found: Value | list[Value]) -> bool:
    """Whether any of the values is one of the node."""
    return any(v.node == node for v in (found if isinstance(found, list) else [found]))


class Importer:
    """Node specs, weights and values collected so far."""

    def __init__(self, *, causal: bool) -> None:
        self.causal = causal
        self.specs: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, int] = {}  # by node
        self.weights: dict[str, Tensor] = {}
        self.outputs: list[dict[str, str]] = []
        self.tensors: dict[str, Any] = {}
        self.values: dict[str, Value | list[Value]] = {}
        self.users: dict[str, int] = {}
        self.broken: set[str] = set()
        self.behind: dict[str, Target] = {}  # what a node takes up stands in an earlier one
        self._read: set[str] = set()
        self._names: set[str] = set()
        self._made: dict[str, Value] = {}

    def module_path(self, node: fx.Node) -> str:
        """Path of the module an operation belongs to, "" at the top level."""
        stack = node.meta.get("nn_module_stack") or {}
        path = str(list(stack.values())[-1][0]) if stack else ""
        return path.removeprefix("L['self']").strip(".").replace("._modules", "")

    def add_input(self, node: fx.Node, example: Tensor, attrs: dict[str, Any]) -> None:
        """The one tensor the module takes, as the input node "frame"."""
        c, h, w = example.shape[1], example.shape[-2], example.shape[-1]
        self._names.add("frame")
        self.channels["frame"] = int(c)
        attrs = {"channels": c, "height": h, "width": w, **attrs}
        self.specs["frame"] = {
            "name": "frame", "op": "input", "inputs": [], "stage": 0, "attrs": attrs,
        }  # fmt: skip
        ticks = example.shape[2] if example.dim() == 5 else 1
        self.values[node.name] = Value("frame", (c, h, w), example.dim(), example.shape[0], ticks)

    def add(
        self,
        node: fx.Node,
        op: str,
        inputs: list[Value],
        attrs: dict[str, Any],
        shape: tuple[int, int, int],
        dims: int | None = None,
    ) -> Value:
        """Appends a node of the graph, named after its path in the module.

        Args:
            node: operation of the module that it comes from.
            op: of the graph.
            inputs: what it reads; whole maps, no views.
            attrs: of the graph's node.
            shape: (c, h, w) of its value.
            dims: of the value; None: those that the operation's result has.
        """
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
        self.channels[unique] = shape[0]
        names = [v.node for v in inputs]
        self._read.update(names)
        self.specs[unique] = {
            "name": unique, "op": op, "inputs": names, "stage": 0, "attrs": attrs,
        }  # fmt: skip
        result = node.meta["val"]
        result = result[0] if isinstance(result, tuple | list) else result
        dims = result.dim() if dims is None else dims
        same = inputs[0].ticks if result.dim() != 5 else int(result.shape[2])
        return Value(unique, shape, dims, inputs[0].batch, same if dims == 5 else 1)

    def add_once(
        self,
        node: fx.Node,
        op: str,
        x: Value,
        attrs: dict[str, Any],
        shape: tuple[int, int, int],
    ) -> Value:
        """As add, for a rearrangement of x that several readers may want: made for the first."""
        key = f"{op} {x.node} {attrs}"
        if key not in self._made:
            self._made[key] = self.add(node, op, [x], attrs, shape, x.dims)
        return self._made[key]

    def forget(self, argument: fx.Node, spec: dict[str, Any]) -> bool:
        """Takes out a rearrangement that was made for one reader; False if others may want it."""
        on_it = [name for name, found in self.values.items() if _is_on(spec["name"], found)]
        alone = on_it == [argument.name] and self.users.get(argument.name) == 1
        if not alone or spec["name"] in self._read:
            return False
        self._made = {key: v for key, v in self._made.items() if v.node != spec["name"]}
        self.remove(spec)
        return True

    def remove(self, spec: dict[str, Any]) -> None:
        """Takes out a node that nobody reads; its reader has taken over what it did."""
        del self.specs[spec["name"]]

    def value(self, argument: Any) -> Value:
        """The value of an argument that must be computed from the input."""
        found = self.values.get(getattr(argument, "name", ""))
        if not isinstance(found, Value):
            raise Refused("an operand is a constant or a parameter, expected a computed map")
        return found

    def tensor(self, argument: Any) -> Tensor | None:
        """The parameter, buffer or constant of an argument; None for None."""
        if argument is None:
            return None
        found = self.tensors.get(getattr(argument, "name", ""))
        if not isinstance(found, Tensor):
            raise Refused("a weight is computed from the frame, expected a parameter or buffer")
        return found

    def alone(self, argument: fx.Node) -> dict[str, Any] | None:
        """The spec behind an argument that nobody else reads, or None."""
        value = self.value(argument)
        if value.node in self._read:
            return None
        for name, found in self.values.items():
            if _is_on(value.node, found) and self.users.get(name, 1) != 1:
                return None
        return self.specs[value.node]

    def read_by(self, argument: fx.Node, spec: dict[str, Any], users: int) -> dict[str, Any] | None:
        """The node behind an argument if it may activate, and only one node reads it as yet.

        Args:
            argument: of so many operations, which the caller knows.
            spec: of the one node.
            users: of the argument, nothing else being a view of the same value.
        """
        name = self.value(argument).node
        found = self.specs[name]
        on_it = [key for key, found_there in self.values.items() if _is_on(name, found_there)]
        readers = [s["name"] for s in self.specs.values() if name in s["inputs"]]
        fits = found["op"] in _ACTIVATING and found["attrs"].get("act", "none") == "none"
        alone = on_it == [argument.name] and self.users.get(argument.name) == users
        return found if fits and alone and readers == [spec["name"]] else None

    def target(self, argument: fx.Node, ops: Sequence[str] = _ACTIVATING) -> Target | None:
        """The node behind an argument that may take up what follows, or None."""
        spec = self.alone(argument)
        if spec is None:
            return None
        found = self.behind.get(spec["name"], Target(spec))
        fits = found.spec["op"] in ops and found.spec["attrs"].get("act", "none") == "none"
        return found if fits else None


Converter = Callable[[Importer, fx.Node], "Value | list[Value]"]


def arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of an operation by the name its schema gives, defaults filled in."""
    schema = node.target._schema  # type: ignore[union-attr]
    out = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    out.update({a.name: v for a, v in zip(schema.arguments, node.args)})
    out.update(node.kwargs)
    return out


def map_shape(node: fx.Node) -> tuple[int, int, int]:
    """(c, h, w) of the result of an operation on images or clips."""
    shape = node.meta["val"].shape
    return int(shape[1]), int(shape[-2]), int(shape[-1])


def sizes(values: int | Sequence[int], dims: int, *, time: int) -> tuple[int, int, int]:
    """(time, height, width) of a size argument for images or clips."""
    n = dims - 2
    listed = [values] * n if isinstance(values, int) else list(values)
    listed = listed * n if len(listed) == 1 else listed
    full = [time, *listed] if n == 2 else listed
    return full[0], full[1], full[2]


def numbers(tensor: Tensor) -> Tensor:
    """A weight as the network keeps it: a contiguous tensor of its own."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def check_time(im: Importer, kernel: int, stride: int, padding: int) -> None:
    """Refuses what a stream cannot do in time."""
    if padding and kernel == 1:
        raise Refused("padding in time of a temporal kernel of 1")
    if (kernel > 1 or stride > 1) and not im.causal:
        raise Refused(
            f"temporal kernel {kernel} and stride {stride} look ahead or leave out frames; "
            "pass causal=True to pad the past instead",
            "Pass causal=True and fine-tune.",
        )
