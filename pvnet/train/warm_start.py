"""Weights of a network for one that has more: further nodes, further inputs of old ones.

A network with temporal skips or feedback reads more channels than the plain one it grows out of.
Nodes are matched by name, input channels by where they come from, never by position. New channels
start at 0, so that the grown network computes what the old one did until training moves them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.nn import Network
from pvnet.nn.node_layers import WEIGHTED
from pvnet.runtime import Model

if TYPE_CHECKING:
    from pvnet.graph.facts import NodeInfo

# Node, channel of it, and the nodes passed on the way: x beside its pooled self is not x twice.
Origin = tuple[str, int, tuple[str, ...]]

_PASSING = ("max_pool", "avg_pool", "global_pool", "upsample", "act", "delay")


def origins(graph: Graph, name: str) -> list[Origin]:
    """Where every channel of node `name` comes from, in order.

    Concats are taken apart and nodes that hand channels on one to one are seen through; any other
    node (convolutions, sums, feedback, softmax) is the origin of its own channels.
    """
    nodes = {n.name: n for n in graph.nodes}
    found: dict[str, list[Origin]] = {}
    waiting = [name]  # no recursion: a network may be deeper than the interpreter's stack
    while waiting:
        node = nodes[waiting[-1]]
        passes = _passes(node)
        sources = [e.node for e in node.inputs] if passes or node.op == "concat" else []
        missing = [s for s in sources if s not in found]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if not sources:
            found[node.name] = [(node.name, c, ()) for c in range(node.shape[0])]
            continue
        by = (node.name,) if passes else ()
        found[node.name] = [(n, c, (*via, *by)) for s in sources for n, c, via in found[s]]
    return found[name]


def warm_start(net: Network, model: Model, from_scratch: Collection[str] = ()) -> list[str]:
    """Gives `net` the weights of a smaller network.

    Wirings, clocks and frame sizes may differ, as in `Network.load_weights`.

    Args:
        net: has every node of the model, with the same kernels and output channels; nodes that it
            has beside those keep the weights they have.
        model: a loaded model file.
        from_scratch: nodes that keep the weights they have, whatever the model says of them: the
            last layer of a network for other classes.

    Returns:
        Names of the nodes with weights that are new, begin from scratch or read more channels, in
        node order; empty for the same architecture.

    Raises:
        InvalidArgumentError: a node is missing, has weights of another size, or no longer reads
            what it read, or no node with weights has a name of `from_scratch`. Nothing is copied.
    """
    new, old = net.graph, model.graph
    ours = {n.name: n for n in new.nodes}
    for name in from_scratch:
        if name not in ours or ours[name].op not in WEIGHTED:
            raise InvalidArgumentError(
                f"[train.warm_start] no new weights for {name!r}: got no such convolution or "
                f"linear node, expected one like {new.outputs[0].node!r}. Correct the name."
            )
    weights: dict[str, Tensor] = {k: torch.as_tensor(v) for k, v in net.export_weights().items()}
    widened = set()
    for theirs in old.nodes:
        name = theirs.name
        if name in from_scratch:
            continue
        node = ours.get(name)
        if node is None or node.op != theirs.op:
            raise _refusal(name, "no such node" if node is None else node.op, f"{theirs.op!r}")
        if theirs.op == "concat" or _passes(theirs):
            continue  # whoever reads it looks at the channels
        before = [origins(old, e.node) for e in theirs.inputs]
        after = [origins(new, e.node) for e in node.inputs]
        if theirs.op not in WEIGHTED:
            if before != after:
                raise _refusal(name, "other inputs", "those it has in the model")
            continue
        given = _weights_of(name, model.weights)
        _check_sizes(name, given, _weights_of(name, weights))
        key = f"{name}.weight"
        grouped = theirs.op in ("scale", "prelu") or any(
            n.attrs.get("groups", 1) != 1 for n in (theirs, node)
        )
        if before != after or given[key].shape != weights[key].shape:
            if grouped:
                raise _refusal(name, "other inputs of groups or channels", "the same inputs")
            given[key] = _place_weights(name, given[key], before[0], after[0], weights[key])
        if len(after[0]) > len(before[0]):
            widened.add(name)
        weights.update(given)
    net.load_weights(weights)
    changed = widened | set(from_scratch) | (ours.keys() - {n.name for n in old.nodes})
    return [n.name for n in new.nodes if n.op in WEIGHTED and n.name in changed]


def _passes(node: NodeInfo) -> bool:
    """Whether channel c of the value depends on channel c of the only input alone."""
    return node.op in _PASSING and node.attrs.get("act") != "softmax"


def _weights_of(name: str, weights: Any) -> dict[str, Tensor]:
    """Those of one node, by their full keys."""
    kinds = ("weight", "bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var")
    keys = [f"{name}.{kind}" for kind in kinds]
    return {k: torch.as_tensor(weights[k]) for k in keys if k in weights}


def _check_sizes(name: str, given: dict[str, Tensor], new: dict[str, Tensor]) -> None:
    """Refuses weights that differ in more than the number of input channels."""

    def sizes(weights: dict[str, Tensor]) -> dict[str, list[int]]:
        shapes = {k.removeprefix(f"{name}."): list(v.shape) for k, v in weights.items()}
        if "weight" in shapes:
            del shapes["weight"][1:2]
        return shapes

    got, expected = sizes(new), sizes(given)
    if got != expected or "weight" not in expected:
        raise _refusal(name, f"sizes without input channels {got}", f"{expected}")


def _place_weights(
    name: str, given: Tensor, before: list[Origin], after: list[Origin], new: Tensor
) -> Tensor:
    """The old weights [out, c, ...] where their channels are now, 0 at the new channels."""
    places: dict[Origin, list[int]] = {}
    for i, origin in enumerate(after):
        places.setdefault(origin, []).append(i)
    # A linear node reads channels of h x w places each.
    each = given.shape[1] // len(before)
    index = []
    for origin in before:
        if not places.get(origin):
            raise _refusal(name, "no input", f"channel {origin[1]} of {origin[0]!r} among them")
        place = places[origin].pop(0)
        index += [place * each + k for k in range(each)]
    if each * len(after) != new.shape[1]:
        raise _refusal(name, f"maps of {new.shape[1] // len(after)} places", f"{each}")
    out = torch.zeros_like(new)
    out[:, index] = given.to(out.dtype)
    return out


def _refusal(name: str, got: str, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"[train.warm_start] node {name!r} cannot take the model's weights: got {got}, expected "
        f"{expected}. Start from a model of the same kind and width."
    )


def start_from(net: Network, model: Model, from_scratch: Collection[str] = ()) -> list[str]:
    """The weights of a model: all of them, or those of a smaller network where it has more.

    Args:
        net: takes them.
        model: a loaded model file.
        from_scratch: as for `warm_start`.

    Returns:
        What `warm_start` returns.

    Raises:
        InvalidArgumentError: as `warm_start`.
    """
    if not from_scratch and net.graph.expected_weights() == model.graph.expected_weights():
        net.load_weights(model.weights)
        return []
    return warm_start(net, model, from_scratch)
