"""Weights of a network for one that has more: further nodes, further inputs of old ones.

A network with temporal skips or feedback reads more channels than the plain one it grows out of.
Input channels are matched by where they come from, never by position; new ones start at 0, so that
the grown network computes what the old one did until training moves them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.nn import Network
from pvnet.runtime import Model

Origin = tuple[str, int]  # node and channel of it
_PASSING = ("max_pool", "avg_pool", "global_pool", "upsample", "act", "delay")


def origins(graph: Graph, name: str) -> list[Origin]:
    """Where every channel of node `name` comes from.

    Joins are taken apart, and nodes that hand channels on one to one are seen through.
    """
    nodes = {n.name: n for n in graph.nodes}
    found: dict[str, list[Origin]] = {}
    waiting = [name]
    while waiting:
        node = nodes[waiting[-1]]
        sources = [e.node for e in node.inputs]
        opens = node.op == "concat" or node.op in _PASSING
        missing = [s for s in sources if s not in found] if opens else []
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if opens:
            found[node.name] = [origin for s in sources for origin in found[s]]
        else:
            found[node.name] = [(node.name, c) for c in range(node.shape[0])]
    return found[name]


def graft(net: Network, model: Model) -> list[str]:
    """Gives `net` the weights of a smaller network.

    Args:
        net: has every convolution and linear node of the model, of the same kernel and number of
            output channels; nodes it has beside keep their weights.
        model: a loaded model file.

    Returns:
        Names of the nodes that are new or read more channels.

    Raises:
        InvalidArgumentError: a node is missing, or has another size; nothing is copied.
    """
    new, old = net.graph, model.graph
    theirs = {n.name: n for n in old.nodes if n.op in ("conv3d", "linear")}
    ours = {n.name: n for n in new.nodes if n.op in ("conv3d", "linear")}
    weights: dict[str, Tensor] = {k: torch.as_tensor(v) for k, v in net.export_weights().items()}
    changed = [name for name in ours if name not in theirs]
    for name, node in theirs.items():
        if name not in ours:
            raise _refused(name, "no node of this name", "one like the model's")
        for key, value in model.weights.items():
            if not key.startswith(f"{name}.") or key == f"{name}.weight":
                continue
            given = torch.as_tensor(value)
            if key not in weights or weights[key].shape != given.shape:
                raise _refused(name, f"another {key}", f"shape {list(given.shape)}")
            weights[key] = given
        given = torch.as_tensor(model.weights[f"{name}.weight"])
        before = origins(old, node.inputs[0].node)
        after = origins(new, ours[name].inputs[0].node)
        if before == after and weights[f"{name}.weight"].shape == given.shape:
            weights[f"{name}.weight"] = given
            continue
        weights[f"{name}.weight"] = _widened(
            name, given, before, after, weights[f"{name}.weight"], ours[name].attrs
        )
        changed.append(name)
    net.load_weights(weights)
    return changed


def _widened(
    name: str,
    given: Tensor,
    before: list[Origin],
    after: list[Origin],
    fresh: Tensor,
    attrs: Any,
) -> Tensor:
    """The old weights [out, c, ...] at the places of their channels, 0 at the new ones."""
    same = given.shape[0] == fresh.shape[0] and given.shape[2:] == fresh.shape[2:]
    place = {origin: i for i, origin in enumerate(after)}
    lost = [origin for origin in before if origin not in place]
    if not same or lost or attrs.get("groups", 1) != 1:
        raise _refused(name, f"weights {list(fresh.shape)}", f"room for {list(given.shape)}")
    # A linear node reads channels of h x w places each.
    each = given.shape[1] // len(before)
    index = torch.tensor([place[o] * each + k for o in before for k in range(each)])
    out = torch.zeros_like(fresh)
    out[:, index] = given.to(out.dtype)
    return out


def _refused(name: str, got: str, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"[train.graft] node {name!r} cannot take the model's weights: got {got}, expected "
        f"{expected}. Start from a model of the same kind and width."
    )


def start_from(net: Network, model: Model) -> list[str]:
    """The weights of a model: all of them, or grafted where the network has more.

    Raises:
        InvalidArgumentError: as `graft`.
    """
    own = {k: tuple(v.shape) for k, v in net.export_weights().items()}
    if own == {k: tuple(v.shape) for k, v in model.weights.items()}:
        net.load_weights(model.weights)
        return []
    return graft(net, model)
