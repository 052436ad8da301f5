"""Convolutions, transposed ones, and products with a constant matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops.windows import Window, extent, two, window
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.view import C, View, axes, positions, size, whole

Array = NDArray[np.float32]


def conv(im: Importer, node: Node) -> list[Value]:
    """Conv of images."""
    source, (c, h, w) = im.map(im.view(node))
    weight = im.floats(node, 1)
    if weight.ndim != 4:
        raise Refused(f"a convolution of {weight.ndim - 2} dimensions, expected images (2)")
    groups = int(node.attrs.get("group", 1))
    if groups < 1 or weight.shape[1] * groups != c or weight.shape[0] % groups:
        raise Refused(f"a weight of shape {list(weight.shape)} on {c} channels, {groups} groups")
    win = window(node, weight.shape[2:], (h, w))
    bias = im.floats(node, 2) if im.has(node, 2) else None
    return [emit_conv(im, source, weight, bias, win, groups)]


def emit_conv(
    im: Importer, source: str, weight: Array, bias: Array | None, win: Window, groups: int
) -> View:
    """Appends a convolution of one tap in time."""
    _, h, w = im.draft.ops[source].shape
    weights = {"weight": weight[:, :, None]}
    if bias is not None:
        weights["bias"] = bias.reshape(-1)
    attrs = {"out": len(weight), **win.attrs(), "groups": groups, "bias": bias is not None}
    return im.emit("conv3d", [source], (len(weight), *win.size(h, w)), attrs, weights)


def conv_transpose(im: Importer, node: Node) -> list[Value]:
    """ConvTranspose as a convolution that makes s x s pixels of every pixel, and a crop."""
    source, (c, h, w) = im.map(im.view(node))
    weight = im.floats(node, 1)
    groups = int(node.attrs.get("group", 1))
    if weight.ndim != 4 or weight.shape[0] != c or groups < 1 or c % groups:
        raise Refused(f"a weight of shape {list(weight.shape)} on {c} channels, {groups} groups")
    stride = two(node.attrs.get("strides", (1, 1)), "strides")
    if stride[0] != stride[1]:
        raise Refused(f"strides of {list(stride)}, expected the same in height and width")
    s, out = stride[0], weight.shape[1] * groups
    starts, sizes = _result(node, weight, (h, w))
    phases, begin, end, crop = _phases(_spread(weight, node), s, starts, sizes, (h, w), groups)
    kernel = (phases.shape[2], phases.shape[3])
    win = Window(kernel, (1, 1), (1, 1), begin, end)
    bias = im.floats(node, 2) if im.has(node, 2) else None
    repeated = None if bias is None else np.repeat(bias.reshape(-1), s * s)
    y = emit_conv(im, source, phases, repeated, win, groups)
    _, rows, columns = im.shape(y)
    if s > 1:
        y = im.emit("depth_to_space", [y.node], (out, rows * s, columns * s), {"block": s})
    return [crop_to(im, y, crop, sizes)]


def crop_to(im: Importer, x: View, start: tuple[int, int], sizes: tuple[int, int]) -> View:
    """A map [1, c, h, w] without what lies before `start` or behind its sizes."""
    c, h, w = im.shape(x)
    begin = [-start[0], -start[1]]
    end = [sizes[0] + start[0] - h, sizes[1] + start[1] - w]
    if begin == end == [0, 0]:
        return x
    attrs = {"padding": begin, "padding_end": end, "pad_mode": "zeros"}
    return im.emit("pad", [x.node], (c, *sizes), attrs)


def _spread(weight: Array, node: Node) -> Array:
    """The kernel with zeros between its taps, for dilations."""
    d = two(node.attrs.get("dilations", (1, 1)), "dilations")
    kh, kw = weight.shape[2:]
    spread = np.zeros((*weight.shape[:2], d[0] * (kh - 1) + 1, d[1] * (kw - 1) + 1), np.float32)
    spread[:, :, :: d[0], :: d[1]] = weight
    return spread


def _result(
    node: Node, weight: Array, size_in: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the result begins in the full product, and its (h, w)."""
    a = node.attrs
    win = window(_without_padding(node), weight.shape[2:], size_in)
    extra = two(a.get("output_padding", (0, 0)), "output_padding")
    full = [(n - 1) * win.stride[i] + extent(win, i) + extra[i] for i, n in enumerate(size_in)]
    mode, shape = a.get("auto_pad", "NOTSET"), a.get("output_shape")
    if shape is None and mode.startswith("SAME"):
        shape = [n * s for n, s in zip(size_in, win.stride)]
    if shape is None:
        pads = list(a.get("pads", (0, 0, 0, 0))) if mode == "NOTSET" else [0] * 4
        if len(pads) != 4 or min(pads) < 0:
            raise Refused(f"pads of {pads}, expected 4 numbers from 0")
        sizes = two([full[i] - pads[i] - pads[i + 2] for i in range(2)], "sizes")
        starts = (pads[0], pads[1])
    else:
        sizes = two(list(shape)[-2:], "output_shape")
        totals = [max(full[i] - sizes[i], 0) for i in range(2)]
        # What is odd of the padding goes to the start, except by SAME_UPPER.
        upper = mode == "SAME_UPPER"
        starts = two([t // 2 if upper else t - t // 2 for t in totals], "pads")
    if min(sizes) < 1:
        raise Refused(f"a result of {list(sizes)} pixels")
    return starts, sizes


def _without_padding(node: Node) -> Node:
    kept = {k: v for k, v in node.attrs.items() if k in ("strides", "dilations")}
    return Node(node.op, node.name, node.inputs, node.outputs, kept)


def _phases(
    weight: Array,
    s: int,
    starts: tuple[int, int],
    sizes: tuple[int, int],
    size_in: tuple[int, int],
    groups: int,
) -> tuple[Array, tuple[int, int], tuple[int, int], tuple[int, int]]:
    """The kernel by phase of the output pixel, the padding around the input, and the crop."""
    taps = [-(-n // s) for n in weight.shape[2:]]
    begin, end, crop = [], [], []
    for i in range(2):
        skipped = min(starts[i] // s, taps[i] - 1)
        begin.append(taps[i] - 1 - skipped)
        crop.append(starts[i] - skipped * s)
        blocks = -(-(crop[i] + sizes[i]) // s)
        end.append(max(blocks - (size_in[i] + begin[i] - taps[i] + 1), 0))
    full = np.zeros((*weight.shape[:2], taps[0] * s, taps[1] * s), np.float32)
    full[:, :, : weight.shape[2], : weight.shape[3]] = weight
    c, per_group = weight.shape[:2]
    # [group, in, out, tap, phase, tap, phase] -> [group, out, phase, phase, in, tap, tap]
    split = full.reshape(groups, c // groups, per_group, taps[0], s, taps[1], s)
    phases = split.transpose(0, 2, 4, 6, 1, 3, 5)[..., ::-1, ::-1]
    shape = (groups * per_group * s * s, c // groups, taps[0], taps[1])
    return phases.reshape(shape), two(begin, ""), two(end, ""), two(crop, "")


def matmul(im: Importer, node: Node) -> list[Value]:
    """MatMul of a computed tensor and a constant, in either order."""
    if isinstance(im.values[node.inputs[0]], View):
        x, weight = im.view(node), im.floats(node, 1)
        return [product(im, x, len(x.dims) - 1, _matrix(weight).T, None)]
    x = im.view(node, 1)
    return [product(im, x, len(x.dims) - 2, _matrix(im.floats(node, 0)), None)]


def _matrix(weight: Array) -> Array:
    if weight.ndim < 2 or math.prod(weight.shape[:-2]) != 1:
        raise Refused(f"a constant of shape {list(weight.shape)}, expected a matrix")
    return weight.reshape(weight.shape[-2:])


def gemm(im: Importer, node: Node) -> list[Value]:
    """Gemm with a constant matrix."""
    a, x, weight = node.attrs, im.view(node), im.floats(node, 1)
    if a.get("transA", 0) or len(x.dims) != 2:
        raise Refused("transA, expected rows of features")
    weight = _matrix(weight) if a.get("transB", 0) else _matrix(weight).T
    bias = None
    if im.has(node, 2):
        held = im.floats(node, 2) * float(a.get("beta", 1.0))
        if held.size not in (1, len(weight)):
            raise Refused(f"a bias of shape {list(held.shape)}, expected one number a feature")
        bias = np.broadcast_to(held.ravel(), (len(weight),))
    return [product(im, x, 1, weight * float(a.get("alpha", 1.0)), bias)]


def product(im: Importer, x: View, dim: int, weight: Array, bias: Array | None) -> View:
    """Sums over one dimension, weighted by [out, in]: a 1x1 convolution, or a linear."""
    if dim < 0 or size(x.dims[dim]) != weight.shape[1]:
        raise Refused(f"a matrix of shape {list(weight.shape)} beside {list(x.shape)}")
    c, h, w = im.shape(x)
    over = x.dims[dim]
    others = [d for i, d in enumerate(x.dims) if i != dim]
    weights = {} if bias is None else {"bias": bias}
    attrs: dict[str, Any] = {"out": len(weight), "bias": bias is not None}
    if axes(over) <= {C} and size(over) == c and (h, w) != (1, 1):
        columns = np.empty_like(weight)
        columns[:, positions(over)] = weight
        attrs["kernel"] = [1, 1, 1]
        weights["weight"] = columns[:, :, None, None, None]
        node = im.draft.add("conv3d", [x.node], (len(weight), h, w), attrs, weights)
    elif all(not d for d in others):
        strides = (h * w, w, 1)
        where = np.zeros(1, np.int64)
        for axis, stride, n in over:
            where = (where[:, None] + np.arange(n) * stride * strides[axis]).ravel()
        columns = np.empty_like(weight)
        columns[:, where] = weight
        weights["weight"] = columns
        node = im.draft.add("linear", [x.node], (len(weight), 1, 1), attrs, weights)
    else:
        raise Refused("a product over pixels, expected one over all channels")
    dims = list(x.dims)
    dims[dim] = whole(C, len(weight))
    return View(node, tuple(dims))
