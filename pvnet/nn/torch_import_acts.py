"""Activations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from pvnet.nn.torch_import import Converter, Importer, Refused, Value, arguments
from pvnet.nn.torch_import_views import arranged, as_map, is_whole

_CLAMP = "act", "act_low", "act_high"


def pointwise(im: Importer, argument: fx.Node) -> Value:
    """What an operation on every element alone reads: whole nodes in any view, else a map."""
    x = im.value(argument)
    return x if x.index is None or is_whole(x) else as_map(im, argument)


def activate(im: Importer, node: fx.Node, attrs: dict[str, Any]) -> Value:
    """An activation, within the operation in front of it where that is possible."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    x = pointwise(im, source)
    target = im.target(source)
    if target is not None:
        target.spec["attrs"].update(attrs)
        return x
    y = im.add(node, "act", [replace(x, index=None)], attrs, x.shape, x.dims)
    return replace(y, ticks=x.ticks, index=x.index)


_GATES = {"sigmoid": "silu", "hard_sigmoid": "hard_swish"}


def gated(im: Importer, x: fx.Node, gate: fx.Node) -> Value | None:
    """Product of a map and its own sigmoid as one activation; None where it is anything else."""
    value, found = im.value(x), im.value(gate)
    spec = im.alone(gate)
    if spec is None or spec["op"] != "act" or spec["inputs"] != [value.node]:
        return None
    if value.index is not None or found.index is not None or value.dims != found.dims:
        return None
    name = _GATES.get(spec["attrs"]["act"])
    if name is None:
        return None
    spec["attrs"]["act"] = name
    before = im.read_by(x, spec, users=2)
    if before is None:
        return found
    im.remove(spec)
    before["attrs"]["act"] = name
    return value


def act(name: str) -> Converter:
    """Converter of an activation without numbers."""
    return lambda im, node: activate(im, node, {"act": name})


def softmax(im: Importer, node: fx.Node) -> Value:
    """Softmax over the channels."""
    a = arguments(node)
    x = im.value(node.args[0])
    dim = int(a["dim"]) % x.dims
    if x.dims == 2 and (x.shape[1:] != (1, 1) or x.index is not None):
        raise Refused("softmax over a flattened map", "Take it over the channels of a map.")
    try:
        found, back = arranged(im, a["self"], dim)
    except Refused:
        raise Refused("softmax over other dimensions than the channels") from None
    y = im.add(node, "act", [found], {"act": "softmax"}, found.shape, found.dims)
    return back(replace(y, ticks=found.ticks))


def clamp(im: Importer, node: fx.Node) -> Value:
    """clamp, hardtanh, ReLU6 and their one-sided forms."""
    a = arguments(node)
    if str(node.target).startswith("aten.relu6"):
        low: Any = 0.0
        high: Any = 6.0
    else:
        low, high = a.get("min", a.get("min_val")), a.get("max", a.get("max_val"))
    return activate(im, node, dict(zip(_CLAMP, ("clamp", _number(low), _number(high)))))


def _number(bound: Any) -> float | None:
    if bound is None or (isinstance(bound, float) and math.isinf(bound)):
        return None
    if not isinstance(bound, int | float):
        raise Refused("a bound that is a tensor", "Clamp to numbers.")
    return float(bound)


def leaky_relu(im: Importer, node: fx.Node) -> Value:
    """leaky_relu, and rrelu in eval mode."""
    a = arguments(node)
    slope = a["negative_slope"] if "negative_slope" in a else (a["lower"] + a["upper"]) / 2
    return activate(im, node, {"act": "leaky_relu", "act_slope": float(slope)})


def elu(im: Importer, node: fx.Node) -> Value:
    """elu; selu with its factor behind it."""
    a = arguments(node)
    selu = str(node.target).startswith("aten.selu")
    alpha = 1.6732632423543772 if selu else float(a.get("alpha", 1.0))
    gain = 1.0507009873554805 if selu else float(a.get("scale", 1.0))
    if a.get("input_scale", 1) != 1 or (str(node.target).startswith("aten.celu") and alpha != 1):
        raise Refused("an ELU that scales its input")
    y = activate(im, node, {"act": "elu", "act_slope": alpha})
    if gain == 1:
        return y
    made = im.add(node, "scale", [replace(y, index=None)], {"bias": False}, y.shape, y.dims)
    im.weights[f"{made.node}.weight"] = torch.full((y.shape[0],), gain)
    return replace(made, ticks=y.ticks, index=y.index)


def gelu(im: Importer, node: fx.Node) -> Value:
    """gelu, exact or by tanh."""
    exact = arguments(node)["approximate"] == "none"
    return activate(im, node, {"act": "gelu" if exact else "gelu_tanh"})


def softplus(im: Importer, node: fx.Node) -> Value:
    """Softplus as torch has it by default."""
    a = arguments(node)
    if (a["beta"], a["threshold"]) != (1, 20):
        raise Refused("softplus with beta or threshold of its own", "Use the usual ones.")
    return activate(im, node, {"act": "softplus"})


def prelu(im: Importer, node: fx.Node) -> Value:
    """PReLU with one slope, or one per channel."""
    a = arguments(node)
    weight = im.tensor(a["weight"])
    assert weight is not None
    x, back = arranged(im, a["self"], 1)
    y = im.add(node, "prelu", [x], {}, x.shape, x.dims)
    im.weights[f"{y.node}.weight"] = weight.detach().reshape(-1).expand(x.shape[0]).clone()
    return back(replace(y, ticks=x.ticks))
