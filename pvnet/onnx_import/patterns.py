"""Activations and norms that a file spells out in small operations, put together again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pvnet.onnx_import.draft import Draft, Op

CLOSE = 1e-3  # relative; files spell 1 / sqrt(2) in half precision, too


def find(draft: Draft, outputs: Sequence[str]) -> None:
    """Replaces every pattern by one operation; what nothing reads any more is left out."""
    for name in list(draft.ops):
        op = draft.ops[name]
        if op.op == "mul" and len(op.inputs) == 2:
            for x, gate in (op.inputs, op.inputs[::-1]):
                if _gated(draft, op, x, gate):
                    break
        elif op.op == "div":
            _layer_norm(draft, op)
    draft.prune(outputs)


def affine(draft: Draft, name: str) -> tuple[str, float, float]:
    """(x, a, b) where a node is a x + b with two numbers; (node, 1, 0) for any other."""
    a, b = 1.0, 0.0
    while True:
        op = draft.ops[name]
        numbers = _numbers(op)
        if numbers is None:
            return name, a, b
        a, b = a * numbers[0], a * numbers[1] + b
        name = op.inputs[0]


def _numbers(op: Op) -> tuple[float, float] | None:
    if op.op != "scale" or op.act != "none":
        return None
    weight, bias = op.weights["weight"], op.weights["bias"]
    if np.ptp(weight) or np.ptp(bias):
        return None
    return float(weight[0]), float(bias[0])


def _near(got: float, expected: float) -> bool:
    return math.isclose(got, expected, rel_tol=CLOSE, abs_tol=1e-6)


def _become(draft: Draft, op: Op, act: str, x: str, factor: float) -> bool:
    """Makes a node factor * act(x)."""
    shape, name = draft.ops[x].shape, op.name
    if _near(factor, 1.0):
        op.op, op.inputs, op.attrs = "act", [x], {"act": act}
        return True
    inner = draft.add("act", [x], shape, {"act": act}, name=f"{name}/{act}")
    held = {
        "weight": np.full(shape[0], factor, np.float32),
        "bias": np.zeros(shape[0], np.float32),
    }
    op.op, op.inputs, op.attrs, op.weights = "scale", [inner], {"bias": True}, held
    _move_before(draft, inner, name)
    return True


def _move_before(draft: Draft, name: str, behind: str) -> None:
    moved = draft.ops.pop(name)
    ordered = {}
    for key, op in draft.ops.items():
        if key == behind:
            ordered[name] = moved
        ordered[key] = op
    draft.ops = ordered


def _gated(draft: Draft, op: Op, x: str, gate: str) -> bool:
    """X * gate(x): silu, mish, hard_swish and both kinds of gelu."""
    root, k, shift = affine(draft, x)
    inner, a, b = affine(draft, gate)
    source = draft.ops[inner]
    if shift or not source.inputs:
        return False
    below, wa, wb = affine(draft, source.inputs[0])
    if source.op == "erf" and below == root and wb == 0 and _near(wa, math.sqrt(0.5)):
        return _near(a, b) and _become(draft, op, "gelu", root, 2 * a * k)
    if source.op != "act" or op.shape != draft.ops[root].shape:
        return False
    kind = source.act
    if kind == "tanh" and _near(a, b) and _is_gelu_tanh(draft, source.inputs[0], root):
        return _become(draft, op, "gelu_tanh", root, 2 * a * k)
    if b != 0:
        return False
    if kind == "sigmoid" and below == root and (wa, wb) == (1.0, 0.0):
        return _become(draft, op, "silu", root, a * k)
    if kind == "hard_sigmoid" and below == root and (wa, wb) == (1.0, 0.0):
        return _become(draft, op, "hard_swish", root, a * k)
    if kind == "clamp" and below == root and source.attrs["act_low"] == 0:
        high = source.attrs["act_high"]
        if high is not None and _near(6 * wa, high) and _near(3 * wa, wb):
            return _become(draft, op, "hard_swish", root, a * k * high)
    soft = draft.ops[source.inputs[0]]
    if kind == "tanh" and soft.act == "softplus" and soft.op == "act" and soft.inputs[0] == root:
        return _become(draft, op, "mish", root, a * k)
    return False


def _is_gelu_tanh(draft: Draft, name: str, root: str) -> bool:
    """sqrt(2 / pi) (x + 0.044715 x^3), also as x (1 + 0.044715 x^2)."""
    inner, a, b = affine(draft, name)
    op = draft.ops[inner]
    if b or op.op not in ("add", "mul") or len(op.inputs) != 2:
        return False
    for x, other in (op.inputs, op.inputs[::-1]):
        first, k, zero = affine(draft, x)
        power, p, q = affine(draft, other)
        times = draft.ops[power].inputs
        if first != root or zero or draft.ops[power].op != "mul":
            continue
        flat = [affine(draft, t) for t in times]
        expected = 3 if op.op == "add" else 2
        if len(flat) == 2 and expected == 3:
            flat = [
                v for t in flat
                for v in ([affine(draft, i) for i in draft.ops[t[0]].inputs]
                          if draft.ops[t[0]].op == "mul" and t[0] != root else [t])
            ]  # fmt: skip
        cubic = len(flat) == expected and all(v[0] == root and v[2] == 0 for v in flat)
        p *= math.prod(v[1] for v in flat)
        one = k if expected == 3 else k * q
        if cubic and _near(a * one, math.sqrt(2 / math.pi)) and _near(p / (one / (1 if expected == 3 else k)), 0.044715):  # fmt: skip  # noqa: E501
            return True
    return False


def _layer_norm(draft: Draft, op: Op) -> bool:
    """(x - mean) / sqrt(mean((x - mean)^2) + eps) over channels."""
    centred, root = draft.ops[op.inputs[0]], draft.ops[op.inputs[1]]
    if root.op != "sqrt" or (x := _centred(draft, centred)) is None:
        return False
    inner, a, eps = affine(draft, root.inputs[0])
    variance = draft.ops[inner]
    if variance.op != "channel_mean" or not _near(a, 1.0) or eps <= 0:
        return False
    square = draft.ops[variance.inputs[0]]
    if square.op != "mul" or len(square.inputs) != 2:
        return False
    if any(_centred(draft, draft.ops[n]) != x for n in square.inputs):
        return False
    c = draft.ops[x].shape[0]
    op.op, op.inputs, op.attrs = "layer_norm", [x], {"norm_eps": eps}
    op.weights = {"weight": np.ones(c, np.float32), "bias": np.zeros(c, np.float32)}
    return True


def _centred(draft: Draft, op: Op) -> str | None:
    """X of x - mean(x)."""
    if op.op != "sub":
        return None
    x, mean = op.inputs
    return x if draft.ops[mean].op == "channel_mean" and draft.ops[mean].inputs == [x] else None
