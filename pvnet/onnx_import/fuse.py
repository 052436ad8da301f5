"""Fewer and cheaper nodes: scales go into convolutions, activations into what is before them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pvnet.onnx_import.draft import Draft, Op

ENDS_WITH_ACT = (
    "conv3d", "linear", "add", "sub", "mul", "div", "scale", "group_norm", "layer_norm",
)  # fmt: skip
# Operations whose results lie between the smallest and the largest of what they read.
KEEPS_RANGE = ("max_pool", "upsample", "concat", "channel_select", "depth_to_space", "space_to_depth")  # fmt: skip  # noqa: E501
RANGES = {"relu": (0.0, math.inf), "sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0)}


def fuse(draft: Draft, outputs: Sequence[str]) -> list[str]:
    """Merges nodes that nothing else reads.

    Returns:
        The outputs, which may be other nodes now.
    """
    held = list(outputs)
    for name in list(draft.ops):
        if name in draft.ops:
            _one(draft, draft.ops[name], held)
    for op in list(draft.ops.values()):
        if op.op == "conv3d":
            _unscale(draft, op, held)
    for op in draft.ops.values():
        if op.op == "scale" and not op.weights["bias"].any():
            op.attrs["bias"] = False
            del op.weights["bias"]
    draft.prune(held)
    return held


def _one(draft: Draft, op: Op, outputs: list[str]) -> None:
    if op.op not in ("scale", "act", "pad") or not op.inputs:
        return
    before = draft.ops[op.inputs[0]]
    alone = draft.users(outputs)[before.name] == 1
    if (op.op == "act" and op.act == "clamp" and _within(draft, before, op)) or (
        op.op == "scale" and _is_identity(op)
    ):
        _drop(draft, op, outputs)
    elif not alone or before.name in outputs:
        return
    elif op.op == "scale" and _takes_scale(before):
        _scale(before, op)
        _drop(draft, op, outputs)
    elif op.op == "act" and op.act != "softmax":
        if before.op in ENDS_WITH_ACT and before.act == "none":
            before.attrs |= op.attrs
            _drop(draft, op, outputs)
        elif op.act == "clamp" and before.act in ("relu", "clamp"):
            _narrow(before, op)
            _drop(draft, op, outputs)
    elif op.op == "pad":
        _crop_further(draft, before, op, outputs)


def _drop(draft: Draft, op: Op, outputs: list[str]) -> None:
    """Takes a node out; who read it reads what it read."""
    source = op.inputs[0]
    del draft.ops[op.name]
    draft.replace(op.name, source)
    outputs[:] = [source if n == op.name else n for n in outputs]


def _is_identity(op: Op) -> bool:
    ones = np.abs(op.weights["weight"] - 1).max() < 1e-7
    return bool(ones and not op.weights["bias"].any()) and op.act == "none"


def _takes_scale(op: Op) -> bool:
    return op.op in ("conv3d", "linear", "scale", "layer_norm", "group_norm") and op.act == "none"


def _scale(op: Op, scale: Op) -> None:
    """Puts y * weight + bias into the weights of the node before."""
    weight, bias = (scale.weights[k].astype(np.float64) for k in ("weight", "bias"))
    old = op.weights["weight"].astype(np.float64)
    shape = (-1,) + (1,) * (old.ndim - 1)
    op.weights["weight"] = (old * weight.reshape(shape)).astype(np.float32)
    before = op.weights.get("bias", np.zeros(len(old), np.float32)).astype(np.float64)
    op.weights["bias"] = (before * weight + bias).astype(np.float32)
    if "bias" in op.attrs:
        op.attrs["bias"] = True


def _unscale(draft: Draft, conv: Op, outputs: list[str]) -> None:
    """Puts a scale that a convolution alone reads into the convolution's weights.

    At an edge zeros are read that have no summand, so that a scale with one stays there.
    """
    scale, attrs = draft.ops[conv.inputs[0]], conv.attrs
    if scale.op != "scale" or scale.act != "none" or draft.users(outputs)[scale.name] != 1:
        return
    weight, bias = (scale.weights[k].astype(np.float64) for k in ("weight", "bias"))
    if bias.any() and (any(attrs.get("padding", ())) or any(attrs.get("padding_end", ()))):
        return
    old, groups = conv.weights["weight"], int(attrs.get("groups", 1))
    each = old.astype(np.float64).reshape(groups, -1, *old.shape[1:])
    of_input = (groups, 1, -1) + (1,) * (old.ndim - 2)
    conv.weights["weight"] = (each * weight.reshape(of_input)).reshape(old.shape).astype(np.float32)
    if bias.any():
        sums = (each * bias.reshape(of_input)).reshape(len(old), -1).sum(axis=1)
        conv.weights["bias"] = (conv.weights.get("bias", 0) + sums).astype(np.float32)
        attrs["bias"] = True
    _drop(draft, scale, outputs)


def _bounds(op: Op) -> tuple[float, float]:
    if op.act != "clamp":
        return RANGES.get(op.act, (-math.inf, math.inf))
    low, high = op.attrs["act_low"], op.attrs["act_high"]
    return -math.inf if low is None else low, math.inf if high is None else high


def _narrow(op: Op, clamp: Op) -> None:
    """The bounds of a clamp after a relu or another clamp."""
    (a, b), (low, high) = _bounds(op), _bounds(clamp)
    a, b = min(max(a, low), high), min(max(b, low), high)
    op.attrs |= {"act": "clamp", "act_low": None if math.isinf(a) else a}
    op.attrs["act_high"] = None if math.isinf(b) else b


def _within(draft: Draft, op: Op, clamp: Op) -> bool:
    """Whether no result of a node is outside a clamp."""
    low, high = _bounds(clamp)
    waiting, seen = [op], Counter[str]()
    while waiting:
        op = waiting.pop()
        if seen[op.name]:
            continue
        seen[op.name] += 1
        if op.act == "none" and op.op in KEEPS_RANGE:
            waiting += [draft.ops[n] for n in op.inputs]
            continue
        a, b = _bounds(op)
        if a < low or b > high:
            return False
    return True


def _crop_further(draft: Draft, before: Op, op: Op, outputs: list[str]) -> None:
    """Two crops, one after the other, are one."""
    pads = [before.attrs.get(k, [0, 0]) + op.attrs.get(k, [0, 0]) for k in ("padding", "padding_end")]  # fmt: skip  # noqa: E501
    if before.op != "pad" or any(n > 0 for four in pads for n in four):
        return
    for key in ("padding", "padding_end"):
        before.attrs[key] = [a + b for a, b in zip(before.attrs[key], op.attrs[key])]
    before.shape = op.shape
    _drop(draft, op, outputs)
