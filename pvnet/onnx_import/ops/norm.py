"""Norms: of batches (with running statistics), instances, groups and layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops.elementwise import constant_map
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.view import C, View, axes, constant_on, positions, size, whole

Array = NDArray[np.float32]


def batch_norm(im: Importer, node: Node) -> list[Value]:
    """BatchNormalization as x * weight + bias; a convolution before it takes that up."""
    if node.attrs.get("training_mode", 0):
        raise Refused("statistics of the batch, expected running ones")
    x = im.view(node)
    if len(x.dims) < 2 or size(x.dims[1]) != im.shape(x)[0] or axes(x.dims[1]) - {C}:
        raise Refused(f"a batch norm of a tensor {list(x.shape)}, expected channels second")
    scale, bias, mean, var = (im.floats(node, i).astype(np.float64) for i in range(1, 5))
    weight = scale / np.sqrt(var + float(node.attrs.get("epsilon", 1e-5)))
    index = positions(x.dims[1])
    return [im.scale(x, _placed(weight, index), _placed(bias - mean * weight, index))]


def _placed(values: NDArray[np.float64], index: NDArray[np.int64]) -> Array:
    """Numbers of the tensor's channels in the order of the map's."""
    out = np.empty(len(index), np.float32)
    out[index] = np.broadcast_to(values.ravel(), (len(index),))
    return out


def instance_norm(im: Importer, node: Node) -> list[Value]:
    """InstanceNormalization of a map, or of groups of its channels that a reshape made."""
    x, eps = im.view(node), float(node.attrs.get("epsilon", 1e-5))
    c = im.shape(x)[0]
    first = x.dims[1] if len(x.dims) > 2 else ()
    groups = size(first)
    if first not in (whole(C, c), (((C, c // groups, groups),) if groups > 1 else ())):
        raise Refused(f"an instance norm of a tensor {list(x.shape)}")
    each = c // groups
    weight, bias = (np.repeat(im.floats(node, i).ravel(), each) for i in (1, 2))
    return [group_norm_of(im, x, groups, eps, weight, bias)]


def mean_variance(im: Importer, node: Node) -> list[Value]:
    """MeanVarianceNormalization over space."""
    x = im.view(node)
    dims = sorted(int(d) for d in node.attrs.get("axes", (0, 2, 3)))
    if len(x.dims) != 4 or dims not in ([2, 3], [0, 2, 3]):
        raise Refused(f"a norm over dimensions {dims}, expected height and width")
    source, (c, _, _) = im.map(x)
    one = np.ones(c, np.float32)
    return [group_norm_of(im, View(source, x.dims), c, 1e-9, one, one * 0)]


def group_norm(im: Importer, node: Node) -> list[Value]:
    """GroupNormalization: one weight a group in opset 18, one a channel from 21 on."""
    source, (c, h, w) = im.map(im.view(node))
    groups = int(node.attrs.get("num_groups", 1))
    weight, bias = im.floats(node, 1).ravel(), im.floats(node, 2).ravel()
    if groups < 1 or c % groups or len(weight) not in (c, groups):
        raise Refused(f"{groups} groups and {len(weight)} weights on {c} channels")
    x = View(source, tuple(((), whole(0, c), whole(1, h), whole(2, w))))
    eps = float(node.attrs.get("epsilon", 1e-5))
    weight, bias = (np.repeat(v, c // len(v)) for v in (weight, bias))
    return [group_norm_of(im, x, groups, eps, weight, bias)]


def group_norm_of(
    im: Importer, x: View, groups: int, eps: float, weight: Array, bias: Array
) -> View:
    """Appends a group norm with weights in the order of the map's channels."""
    c = im.shape(x)[0]
    if len(weight) != c or len(bias) != c:
        raise Refused(f"{len(weight)} weights on {c} channels")
    held = {"weight": weight, "bias": bias}
    return im.unary(x, "group_norm", {"groups": groups, "norm_eps": eps}, held)


def layer_norm(im: Importer, node: Node) -> list[Value]:
    """LayerNormalization over the channels of every pixel, or over the whole map."""
    if len(node.outputs) > 1 and any(node.outputs[1:]):
        raise Refused("the mean or deviation of a norm as an output")
    x, eps = im.view(node), float(node.attrs.get("epsilon", 1e-5))
    axis = int(node.attrs.get("axis", -1)) % len(x.dims)
    over = [a for dim in x.dims[axis:] for a in dim]
    c, h, w = im.shape(x)
    count = int(np.prod([n for _, _, n in over]))
    weight = constant_on(x, im.floats(node, 1))
    bias = constant_on(x, im.floats(node, 2)) if im.has(node, 2) else np.zeros((1, 1, 1), "f4")
    if axes(over) <= {C} and count == c:
        held = {
            k: np.broadcast_to(v.ravel(), (c,)) for k, v in (("weight", weight), ("bias", bias))
        }
        return [im.unary(x, "layer_norm", {"norm_eps": eps}, held)]
    if count != c * h * w:
        raise Refused("a layer norm over a part of a map, expected its channels or all of it")
    if weight.shape[1:] == bias.shape[1:] == (1, 1):
        parts = (np.broadcast_to(v.ravel(), (c,)) for v in (weight, bias))
        return [group_norm_of(im, x, 1, eps, *parts)]
    y = group_norm_of(im, x, 1, eps, np.ones(c, np.float32), np.zeros(c, np.float32))
    node_out = y.node
    for op, k in (("mul", weight), ("add", bias)):
        full = constant_map(im, x, k)
        node_out = im.draft.add(op, [node_out, full], im.shape(x))
    return [View(node_out, x.dims)]
