"""Convolutions and linear layers, and what is folded into them: padding, norms, factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from pvnet.nn.torch_import import (
    Importer,
    Refused,
    Target,
    Value,
    arguments,
    check_time,
    map_shape,
    numbers,
    sizes,
)
from pvnet.nn.torch_import_views import arranged, as_map, crop, full_shape, positions, seen, size_of

_MOST_WEIGHTS = 4_000_000  # of a linear layer that stands for a 1D convolution


def maps_only(x: Value) -> None:
    """Refuses what has no height and width."""
    if x.dims not in (4, 5):
        raise Refused("the operand is flattened, expected a map")


def conv(im: Importer, node: fx.Node) -> Value:
    """conv2d, conv3d; a pad of zeros in front becomes their padding."""
    a = arguments(node)
    x, weight, bias = as_map(im, a["input"]), im.tensor(a["weight"]), im.tensor(a["bias"])
    assert weight is not None
    maps_only(x)
    if weight.dim() != x.dims:
        raise Refused(f"a {weight.dim() - 2}D convolution of a tensor with {x.dims} dimensions")
    if weight.dim() == 4:
        weight = weight.unsqueeze(2)
    kernel = tuple(int(k) for k in weight.shape[2:])
    stride = sizes(a["stride"], x.dims, time=1)
    dilation = sizes(a["dilation"], x.dims, time=1)
    before, after = _paddings(a["padding"], kernel, dilation, x.dims)
    check_time(im, kernel[0], stride[0], before[0])
    extent = [(k - 1) * d + 1 for k, d in zip(kernel[1:], dilation[1:])]
    x, start, end = take_padding(im, a["input"], x, before[1:], after[1:], extent, 0.0)
    groups, edge = int(a["groups"]), any(start) or any(end) or kernel[0] > 1
    x, weight, bias = _unscaled(im, a["input"], x, weight, bias, groups, edge=edge)
    if groups == 1:
        x, weight = _in_order(im, a["input"], x, weight)
    attrs = {
        "out": int(weight.shape[0]),
        "kernel": list(kernel),
        "stride": list(stride),
        **padding_attrs(start, end),
        "dilation": list(dilation),
        "groups": int(a["groups"]),
    }
    return add_conv(im, node, x, attrs, weight, bias, map_shape(node))


def _unscaled(
    im: Importer,
    argument: fx.Node,
    x: Value,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
    *,
    edge: bool,
) -> tuple[Value, Tensor, Tensor | None]:
    """What a convolution reads before its channels were scaled, and its weights for that.

    At an edge zeros are read that have no summand, so that a scale with one stays there.
    """
    taken = im.value(argument).node != x.node  # a pad, between the two
    spec = None if taken or x.index is not None else im.alone(argument)
    if spec is None or spec["op"] != "scale" or spec["attrs"].get("act", "none") != "none":
        return x, weight, bias
    shifted = bool(spec["attrs"]["bias"])
    if shifted and edge:
        return x, weight, bias
    im.remove(spec)
    each = weight.reshape(groups, -1, *weight.shape[1:])  # [g, out / g, in / g, kt, kh, kw]
    of_input = (groups, 1, -1, 1, 1, 1)
    factor = im.weights.pop(f"{spec['name']}.weight").to(weight).reshape(of_input)
    if shifted:
        summand = im.weights.pop(f"{spec['name']}.bias").to(weight).reshape(of_input)
        sums = (each * summand).sum((2, 3, 4, 5)).reshape(-1)
        bias = sums if bias is None else bias + sums
    return replace(x, node=spec["inputs"][0]), (each * factor).reshape(weight.shape), bias


def _in_order(
    im: Importer, argument: fx.Node, x: Value, weight: Tensor
) -> tuple[Value, Tensor]:
    """What a convolution reads before its channels changed places, and its weight for that."""
    spec = im.specs[x.node]
    if spec["op"] != "channel_select":
        return x, weight
    source, chosen = spec["inputs"][0], spec["attrs"]["index"]
    if sorted(chosen) != list(range(im.channels[source])) or not im.forget(argument, spec):
        return x, weight
    return replace(x, node=source), weight[:, torch.tensor(chosen).argsort()]


def add_conv(
    im: Importer,
    node: fx.Node,
    x: Value,
    attrs: dict[str, Any],
    weight: Tensor,
    bias: Tensor | None,
    shape: tuple[int, int, int],
) -> Value:
    """A conv3d node with its weights [out, in / groups, kt, kh, kw]."""
    y = im.add(node, "conv3d", [x], {**attrs, "bias": bias is not None}, shape, x.dims)
    im.weights[f"{y.node}.weight"] = numbers(weight)
    if bias is not None:
        im.weights[f"{y.node}.bias"] = numbers(bias)
    return y


def padding_attrs(start: Sequence[int], end: Sequence[int]) -> dict[str, Any]:
    """`padding`, and `padding_end` where it is another one."""
    attrs: dict[str, Any] = {"padding": list(start)}
    return attrs if list(start) == list(end) else {**attrs, "padding_end": list(end)}


def take_padding(
    im: Importer,
    argument: fx.Node,
    x: Value,
    start: Sequence[int],
    end: Sequence[int],
    most: Sequence[int],
    value: float,
) -> tuple[Value, list[int], list[int]]:
    """What a window operation reads and its padding, a pad node in front of it taken up.

    Args:
        im: the importer.
        argument: of the module that x is.
        x: what the operation would read.
        start: its own padding, top and left.
        end: bottom and right.
        most: that it may have on a side; larger ones stay a node.
        value: of the padding that it adds itself.
    """
    own = list(start), list(end)
    spec = im.alone(argument)
    if spec is None or spec["op"] != "pad" or spec["name"] in im.behind:
        return x, own[0], own[1]
    a = spec["attrs"]
    if a["pad_mode"] != "zeros" or a.get("value", 0.0) != value or x.index is not None:
        return x, own[0], own[1]
    if min(*a["padding"], *a["padding_end"]) < 0:
        return x, own[0], own[1]
    first = [p + q for p, q in zip(own[0], a["padding"])]
    last = [p + q for p, q in zip(own[1], a["padding_end"])]
    if any(p > m for side in (first, last) for p, m in zip(side, most)):
        return x, own[0], own[1]
    im.remove(spec)
    h, w = (n - p - q for n, p, q in zip(x.shape[1:], a["padding"], a["padding_end"]))
    return replace(x, node=spec["inputs"][0], shape=(x.shape[0], h, w)), first, last


def _paddings(
    padding: Any, kernel: Sequence[int], dilation: Sequence[int], dims: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and after as numbers; torch also takes "valid" and "same"."""
    if padding == "valid":
        return (0, 0, 0), (0, 0, 0)
    if padding != "same":
        given = sizes(padding, dims, time=0)
        return given, given
    total = [(k - 1) * d for k, d in zip(kernel, dilation)]
    return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)


def transposed(im: Importer, node: fx.Node) -> Value:
    """A transposed convolution: a convolution for each pixel of a block, then depth to space."""
    a = arguments(node)
    x, weight, bias = as_map(im, a["input"]), im.tensor(a["weight"]), im.tensor(a["bias"])
    assert weight is not None
    if x.dims != 4 or weight.dim() != 4:
        raise Refused("a transposed convolution of clips", "Upsample, then convolve.")
    stride, padding = sizes(a["stride"], 4, time=1)[1:], sizes(a["padding"], 4, time=0)[1:]
    if stride[0] != stride[1]:
        raise Refused("a transposed convolution of two strides", "Use one stride for both sides.")
    s, groups = stride[0], int(a["groups"])
    weight = _dilated(weight, sizes(a["dilation"], 4, time=1)[1:])
    c, out = int(weight.shape[0]), int(weight.shape[1]) * groups
    result = map_shape(node)
    taps, start, end, first, rows = zip(
        *(_transposed_side(n, k, s, p, m)
          for n, k, p, m in zip(x.shape[1:], weight.shape[2:], padding, result[1:]))
    )  # fmt: skip
    full = F.pad(weight, (0, taps[1] * s - weight.shape[3], 0, taps[0] * s - weight.shape[2]))
    # w[i, o, j s + r] becomes tap taps - 1 - j of the channel o s s + r.
    full = full.reshape(groups, c // groups, out // groups, taps[0], s, taps[1], s).flip(3, 5)
    full = full.permute(0, 2, 4, 6, 1, 3, 5).reshape(out * s * s, c // groups, 1, *taps)
    attrs = {
        "out": out * s * s, "kernel": [1, *taps], "stride": [1, 1, 1],
        **padding_attrs(start, end), "dilation": [1, 1, 1], "groups": groups,
    }  # fmt: skip
    each = None if bias is None else bias.repeat_interleave(s * s)
    y = add_conv(im, node, x, attrs, full, each, (out * s * s, *rows))
    target = Target(im.specs[y.node], s * s)
    if s > 1:
        y = im.add(node, "depth_to_space", [y], {"block": s}, (out, rows[0] * s, rows[1] * s))
    y = crop(im, node, y, first, result[1:])
    im.behind[y.node] = target
    return y


def _dilated(weight: Tensor, dilation: Sequence[int]) -> Tensor:
    """The same kernel with its zeros written out."""
    if tuple(dilation) == (1, 1):
        return weight
    (kh, kw), (dh, dw) = weight.shape[2:], dilation
    full = weight.new_zeros(*weight.shape[:2], (kh - 1) * dh + 1, (kw - 1) * dw + 1)
    full[:, :, ::dh, ::dw] = weight
    return full


def _transposed_side(n: int, k: int, s: int, p: int, m: int) -> tuple[int, int, int, int, int]:
    """(taps, padding before, after, first pixel kept, rows of blocks) of one side.

    Block q holds pixels q s to q s + s - 1 of the result without padding; it reads the pixels
    q - taps + 1 to q of n. Kept are m pixels from p on.
    """
    taps = math.ceil(k / s)
    first = min(p // s, taps - 1)
    last = max(math.ceil((p + m) / s) - 1, n - 1)
    return taps, taps - 1 - first, last - (n - 1), p - first * s, last - first + 1


def linear(im: Importer, node: fx.Node) -> Value:
    """linear: of a flattened map, in any order, or over the channels of every pixel."""
    a = arguments(node)
    x, weight, bias = im.value(a["input"]), im.tensor(a["weight"]), im.tensor(a["bias"])
    assert weight is not None
    out = int(weight.shape[0])
    if x.dims != 2:
        found, back = arranged(im, a["input"], -1)
        if found.shape[1:] != (1, 1):
            attrs = {"out": out, "kernel": [1, 1, 1], "padding": [0, 0]}
            y = add_conv(im, node, found, attrs, weight[:, :, None, None, None], bias,
                         (out, *found.shape[1:]))  # fmt: skip
            return back(y)
        return back(_add_linear(im, node, found, weight, bias))
    return replace(_add_linear(im, node, *_columns(im, a["input"], weight), bias), dims=2)


def _columns(im: Importer, argument: fx.Node, weight: Tensor) -> tuple[Value, Tensor]:
    """What a linear layer reads as a whole, its weight in that order."""
    x = im.value(argument)
    if x.ticks > 1:
        raise Refused("a clip is flattened over time", "Pool over time first.")
    if x.index is None:
        return x, weight
    per_image = size_of(x) // x.batch
    if x.index.shape[1] * 4 < per_image:
        return as_map(im, argument), weight
    expected = x.index[:1] + per_image * torch.arange(x.batch)[:, None]
    if not torch.equal(expected, x.index):
        raise Refused("a view that mixes images of the batch")
    full = weight.new_zeros(weight.shape[0], per_image).index_add_(1, x.index[0], weight)
    return replace(x, index=None), full


def _add_linear(
    im: Importer, node: fx.Node, x: Value, weight: Tensor, bias: Tensor | None
) -> Value:
    out = int(weight.shape[0])
    y = im.add(node, "linear", [x], {"out": out, "bias": bias is not None}, (out, 1, 1), 4)
    im.weights[f"{y.node}.weight"] = numbers(weight)
    if bias is not None:
        im.weights[f"{y.node}.bias"] = numbers(bias)
    return y


def conv_of_vector(im: Importer, node: fx.Node) -> Value:
    """conv1d over the channels of a pooled map: a linear layer with a band of weights."""
    a = arguments(node)
    x, weight, bias = im.value(a["input"]), im.tensor(a["weight"]), im.tensor(a["bias"])
    result = node.meta["val"].shape
    index = positions(x)
    if weight is None or index.dim() != 3 or x.shape[1:] != (1, 1):
        raise Refused("a 1D convolution, expected one over the channels of a pooled map")
    length = int(index.shape[1] * index.shape[2])
    if length * result[1] * result[2] > _MOST_WEIGHTS:
        raise Refused("a 1D convolution over too many channels")
    unit = torch.eye(length, dtype=weight.dtype).reshape(length, *index.shape[1:])
    args = [a[key] for key in ("stride", "padding", "dilation", "groups")]
    band = F.conv1d(unit, weight, None, *args).reshape(length, -1).T
    flat = seen(x, index.reshape(x.batch, length))
    im.values[a["input"].name] = flat
    each = None if bias is None else bias.repeat_interleave(int(result[2]))
    y = _add_linear(im, node, *_columns(im, a["input"], band), each)
    im.values[a["input"].name] = x
    return seen(y, torch.arange(size_of(y)).reshape(result))


def affine(
    im: Importer, node: fx.Node, weight: Tensor | None, bias: Tensor | None
) -> Value:
    """One factor and one summand per channel of a map, within what computes it if it may.

    Args:
        im: the importer.
        node: whose first argument is a map, or a whole view of one.
        weight: [c]; None is 1.
        bias: [c]; None is 0.
    """
    argument = next(n for n in node.all_input_nodes if n.name in im.values)
    x = im.value(argument)
    target = im.target(argument, ("conv3d", "linear", "scale"))
    if target is not None:
        _scale(im, target, weight, bias)
        return x
    attrs = {"bias": bias is not None}
    c = x.shape[0]
    y = im.add(node, "scale", [replace(x, index=None)], attrs, x.shape, x.dims)
    like = weight if weight is not None else bias
    assert like is not None
    y = replace(y, ticks=x.ticks)
    im.weights[f"{y.node}.weight"] = numbers(like.new_ones(c) if weight is None else weight)
    if bias is not None:
        im.weights[f"{y.node}.bias"] = numbers(bias)
    return replace(y, index=x.index)


def _scale(im: Importer, target: Target, weight: Tensor | None, bias: Tensor | None) -> None:
    """Multiplies and shifts what a node computes, by its weights."""
    name, attrs = target.spec["name"], target.spec["attrs"]
    weight = None if weight is None else weight.repeat_interleave(target.repeat)
    bias = None if bias is None else bias.repeat_interleave(target.repeat)
    gain, shift = f"{name}.weight", f"{name}.bias"
    if attrs.get("norm"):
        gain, shift = f"{name}.norm.weight", f"{name}.norm.bias"
    weights = im.weights
    if weight is not None:
        full = weights[gain]
        weights[gain] = full * weight.to(full).reshape(-1, *[1] * (full.dim() - 1))
        if shift in weights:
            weights[shift] = weights[shift] * weight.to(full)
    if bias is not None:
        like = weights[gain]
        before = weights.get(shift, torch.zeros_like(bias, dtype=like.dtype))
        weights[shift] = before + bias.to(like)
        if not attrs.get("norm"):
            attrs["bias"] = True


def batch_norm(im: Importer, node: fx.Node) -> Value:
    """Batch norm with running statistics, part of the convolution in front of it."""
    a = arguments(node)
    if a.get("training") or a.get("use_input_stats"):
        raise Refused("batch norm with the statistics of the batch", "Train it with running ones.")
    mean, var = im.tensor(a["running_mean"]), im.tensor(a["running_var"])
    if mean is None or var is None:
        raise Refused("batch norm without running statistics", "Train it with running ones.")
    x, back = arranged(im, a["input"], 1)
    eps = float(a["eps"])
    target = im.target(a["input"], ("conv3d",)) if im.value(a["input"]).index is None else None
    repeat = 1
    if target is not None and not target.spec["attrs"].get("norm"):
        target.spec["attrs"] |= {"norm": True, "norm_eps": eps}
        y, name, repeat = im.value(a["input"]), target.spec["name"], target.repeat
    else:
        # A batch norm of its own is a 1x1 convolution of every channel alone.
        c = x.shape[0]
        attrs = {"out": c, "kernel": [1, 1, 1], "groups": c, "norm": True, "norm_eps": eps}
        made = add_conv(im, node, x, attrs, torch.ones_like(mean).reshape(c, 1, 1, 1, 1), None,
                        x.shape)  # fmt: skip
        y, name = back(replace(made, ticks=x.ticks)), made.node
    weight, bias = im.tensor(a["weight"]), im.tensor(a["bias"])
    for key, given, usual in (
        ("running_mean", mean, mean), ("running_var", var, var),
        ("weight", weight, torch.ones_like(mean)), ("bias", bias, torch.zeros_like(mean)),
    ):  # fmt: skip
        each = usual if given is None else given
        im.weights[f"{name}.norm.{key}"] = numbers(each.repeat_interleave(repeat))
    return y


def channels_apart(x: Value, per_element: Tensor) -> Tensor | None:
    """[c] of a tensor over the node's value [b, c, t, h, w] that is constant within channels."""
    full = per_element.reshape(full_shape(x))
    first = full[0, :, 0, 0, 0]
    return first if torch.equal(full, first[None, :, None, None, None].expand_as(full)) else None
