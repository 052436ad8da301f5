"""Norms that compute their statistics from the map itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from pvnet.nn.torch_import import Importer, Refused, Value, arguments, numbers
from pvnet.nn.torch_import_convs import batch_norm
from pvnet.nn.torch_import_views import arranged, as_map

_CURE = "Normalise the channels of each pixel, groups of channels, or whole maps."


def _add(
    im: Importer,
    node: fx.Node,
    x: Value,
    op: str,
    attrs: dict[str, Any],
    weight: Tensor | None,
    bias: Tensor | None,
) -> Value:
    c = x.shape[0]
    y = im.add(node, op, [x], attrs, x.shape, x.dims)
    one = torch.ones(c) if weight is None else weight
    im.weights[f"{y.node}.weight"] = numbers(one)
    im.weights[f"{y.node}.bias"] = numbers(torch.zeros_like(one) if bias is None else bias)
    return replace(y, ticks=x.ticks)


def group_norm(im: Importer, node: fx.Node) -> Value:
    """group_norm of images."""
    a = arguments(node)
    x = as_map(im, a["input"])
    if x.dims == 5 and x.ticks > 1:
        raise Refused("statistics over the time of a clip", _CURE)
    groups = int(a["num_groups"] if "num_groups" in a else a["group"])
    attrs = {"groups": groups, "norm_eps": float(a["eps"])}
    return _add(im, node, x, "group_norm", attrs, im.tensor(a["weight"]), im.tensor(a["bias"]))


def instance_norm(im: Importer, node: fx.Node) -> Value:
    """instance_norm: groups of one channel, or batch norm where it keeps statistics."""
    a = arguments(node)
    if not a["use_input_stats"]:
        return batch_norm(im, node)
    x = as_map(im, a["input"])
    if x.dims == 5 and x.ticks > 1:
        raise Refused("statistics over the time of a clip", _CURE)
    attrs = {"groups": x.shape[0], "norm_eps": float(a["eps"])}
    return _add(im, node, x, "group_norm", attrs, im.tensor(a["weight"]), im.tensor(a["bias"]))


def layer_norm(im: Importer, node: fx.Node) -> Value:
    """layer_norm over channels that lie last, or over whole maps."""
    a = arguments(node)
    x = im.value(a["input"])
    over = len(a["normalized_shape"])
    weight, bias = im.tensor(a["weight"]), im.tensor(a["bias"])
    eps = {"norm_eps": float(a["eps"])}
    if over == 1:
        found, back = arranged(im, a["input"], -1)
        return back(_add(im, node, found, "layer_norm", eps, weight, bias))
    x = as_map(im, a["input"])
    if x.dims != 4 or over != 3:
        raise Refused("layer norm over rows or columns", _CURE)
    each = [_per_channel(t) for t in (weight, bias)]
    return _add(im, node, x, "group_norm", {"groups": 1, **eps}, *each)


def _per_channel(t: Tensor | None) -> Tensor | None:
    if t is None:
        return None
    first = t[:, :1, :1]
    if not torch.equal(t, first.expand_as(t)):
        raise Refused("layer norm with a weight per pixel", "Use weights per channel.")
    return first.reshape(-1)
