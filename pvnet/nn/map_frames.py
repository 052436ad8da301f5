"""Moves of values and norms of maps [n, c, h, w]: what torch calls them, given the attributes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from pvnet.nn.node_layers import NodeLayer

Attrs = Mapping[str, Any]

_PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}


class _Laid(torch.autograd.Function):
    """x itself; its gradient lies in memory as x does.

    The backward of batch norm in eval mode (torch 2.13 on CPU) silently reads a gradient that lies
    otherwise as if it did not.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        layout = torch.channels_last if ctx.last else torch.contiguous_format
        return grads[0].contiguous(memory_format=layout)


def laid(x: Tensor) -> Tensor:
    """X [n, c, h, w], with a gradient that lies in memory as x does."""
    return cast("Tensor", _Laid.apply(x))  # type: ignore[no-untyped-call]


def pad(attrs: Attrs, x: Tensor) -> Tensor:
    """Rows and columns around x, or fewer of them."""
    (top, left), (bottom, right) = attrs["padding"], attrs["padding_end"]
    sides = (left, right, top, bottom)
    if attrs["pad_mode"] == "zeros":
        return F.pad(x, sides, value=float(attrs["value"]))
    return F.pad(x, sides, mode=_PAD_MODES[attrs["pad_mode"]])


def channel_select(attrs: Attrs, x: Tensor) -> Tensor:
    """Channels of x by number; a view where they lie at equal steps upwards."""
    index = [int(i) for i in attrs["index"]]
    steps = {b - a for a, b in pairwise(index)}
    if len(steps) <= 1 and min(steps, default=1) > 0:
        return x[:, index[0] : index[-1] + 1 : min(steps, default=1)]
    return x.index_select(1, torch.tensor(index, device=x.device))


def depth_to_space(attrs: Attrs, x: Tensor) -> Tensor:
    """[n, c b b, h, w] -> [n, c, h b, w b]."""
    return F.pixel_shuffle(x, int(attrs["block"]))


def space_to_depth(attrs: Attrs, x: Tensor) -> Tensor:
    """[n, c, h b, w b] -> [n, c b b, h, w]."""
    return F.pixel_unshuffle(x, int(attrs["block"]))


def group_norm(attrs: Attrs, layer: NodeLayer, x: Tensor) -> Tensor:
    """Over the pixels and channels of a group, every map by itself."""
    return F.group_norm(x, int(attrs["groups"]), layer.weight, layer.bias, float(attrs["norm_eps"]))


def layer_norm(attrs: Attrs, layer: NodeLayer, x: Tensor) -> Tensor:
    """Over the channels of every pixel by itself."""
    last, channels = x.permute(0, 2, 3, 1), (x.shape[1],)
    y = F.layer_norm(last, channels, layer.weight, layer.bias, float(attrs["norm_eps"]))
    return y.permute(0, 3, 1, 2)
