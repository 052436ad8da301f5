"""Activations by name, with the parameters that the file gives them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops.elementwise import clamp
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.settle import pick
from pvnet.onnx_import.view import C, View, axes, constant_on, positions, size, transpose

SIMPLE = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Mish": "mish",
    "HardSwish": "hard_swish",
}  # fmt: skip


def simple(im: Importer, node: Node) -> list[Value]:
    """An activation without parameters."""
    return [im.unary(im.view(node), "act", {"act": SIMPLE[node.op]})]


def pseudo(im: Importer, node: Node) -> list[Value]:
    """Erf and Sqrt, which only patterns know."""
    return [im.unary(im.view(node), node.op.lower())]


def leaky_relu(im: Importer, node: Node) -> list[Value]:
    """LeakyRelu."""
    slope = float(node.attrs.get("alpha", 0.01))
    return [im.unary(im.view(node), "act", {"act": "leaky_relu", "act_slope": slope})]


def elu(im: Importer, node: Node) -> list[Value]:
    """Elu, Selu, and Celu of alpha 1."""
    a, x = node.attrs, im.view(node)
    if node.op == "Selu":
        alpha = float(a.get("alpha", 1.67326319217681884765625))
        y = im.unary(x, "act", {"act": "elu", "act_slope": alpha})
        return [im.scale(y, float(a.get("gamma", 1.05070102214813232421875)))]
    alpha = float(a.get("alpha", 1.0))
    if node.op == "Celu" and alpha != 1:
        raise Refused(f"an alpha of {alpha:g}, expected 1")
    return [im.unary(x, "act", {"act": "elu", "act_slope": alpha})]


def hard_sigmoid(im: Importer, node: Node) -> list[Value]:
    """HardSigmoid: clamp(alpha x + beta, 0, 1)."""
    alpha, beta = float(node.attrs.get("alpha", 0.2)), float(node.attrs.get("beta", 0.5))
    x = im.view(node)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return [im.unary(x, "act", {"act": "hard_sigmoid"})]
    return [clamp(im, im.scale(x, alpha, beta), 0.0, 1.0)]


def gelu(im: Importer, node: Node) -> list[Value]:
    """Gelu, exact or by tanh."""
    kind = "gelu_tanh" if node.attrs.get("approximate", "none") == "tanh" else "gelu"
    return [im.unary(im.view(node), "act", {"act": kind})]


def prelu(im: Importer, node: Node) -> list[Value]:
    """PRelu with one slope, or one a channel."""
    x, slope = im.view(node), im.floats(node, 1)
    held = constant_on(x, slope)
    if held.shape[1:] != (1, 1):
        raise Refused("slopes that differ between pixels")
    if held.size == 1:
        number = float(held.ravel()[0])
        return [im.unary(x, "act", {"act": "leaky_relu", "act_slope": number})]
    return [im.unary(x, "prelu", {}, {"weight": held.ravel()})]


def softmax(im: Importer, node: Node) -> list[Value]:
    """Softmax over the channels, or over a part of them (as in the boxes of detectors)."""
    x = im.view(node)
    rank = len(x.dims)
    axis = int(node.attrs.get("axis", -1 if im.opset >= 13 else 1)) % rank
    if im.opset < 13 and any(x.dims[axis + 1 :]):
        raise Refused("a softmax over several dimensions at once, as before opset 13")
    over, (c, _, _) = x.dims[axis], im.shape(x)
    if not axes(over) <= {C}:
        raise Refused("a softmax over pixels, expected one over channels")
    if size(over) == c:
        return [im.unary(x, "act", {"act": "softmax"})]
    return [_parts(im, x, axis)]


def _parts(im: Importer, x: View, axis: int) -> View:
    """The softmax of every group of channels by itself."""
    c, h, w = im.shape(x)
    order = [axis, *(i for i in range(len(x.dims)) if i != axis)]
    moved = transpose(x, order)
    others = [a for dim in moved.dims[1:] for a in dim if a[0] == C]
    index = positions([*others, *moved.dims[0]]).reshape(-1, size(moved.dims[0]))
    if index.shape[1] == 2:
        return _pairs(im, x, index)
    if len(index) > 64:
        raise Refused(f"a softmax over {len(index)} groups of channels, expected at most 64")
    parts = []
    for group in index:
        shape = (len(group), h, w)
        part = im.draft.add("channel_select", [x.node], shape, {"index": group.tolist()})
        parts.append(im.draft.add("act", [part], shape, {"act": "softmax"}))
    joined = im.draft.add("concat", parts, (c, h, w))
    back = np.argsort(index.ravel()).tolist()
    if back != list(range(c)):
        joined = im.draft.add("channel_select", [joined], (c, h, w), {"index": back})
    return View(joined, x.dims)


def _pairs(im: Importer, x: View, index: NDArray[np.int64]) -> View:
    """The softmax of pairs of channels: sigmoids of their differences."""
    c, h, w = im.shape(x)
    ends = [pick(im.draft, x.node, index[:, k].tolist()) for k in (0, 1)]
    gates = []
    for pair in (ends, ends[::-1]):
        gap = im.draft.add("sub", pair, (c // 2, h, w))
        gates.append(im.draft.add("act", [gap], (c // 2, h, w), {"act": "sigmoid"}))
    joined = im.draft.add("concat", gates, (c, h, w))
    return View(pick(im.draft, joined, np.argsort(index.T.ravel()).tolist()), x.dims)
