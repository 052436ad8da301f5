"""Ops that look at one firing at a time, on firings folded into the batch: [n, c, h, w], n = b * J.

The libraries under torch have far better kernels for maps than for volumes of depth 1, on CPUs and
on GPUs, and torch joins four dimensions faster than five on CUDA. `operations` has the same ops on
clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvnet.nn.map_frames import (
    channel_select,
    depth_to_space,
    group_norm,
    laid,
    layer_norm,
    pad,
    space_to_depth,
)
from pvnet.nn.node_layers import NodeLayer

Attrs = Mapping[str, Any]
# Channels side by side from which on a strip is as good as a map of its own.
_LONG_RUN = 128
FrameOperation = Callable[[Attrs, NodeLayer | None, Sequence[Tensor]], Tensor]


def per_frame(x: Tensor) -> Tensor:
    """[b, c, J, h, w] as [b * J, c, h, w]; a view where x is laid out channels_last_3d."""
    return x.transpose(1, 2).flatten(0, 1)


def per_clip(y: Tensor, b: int) -> Tensor:
    """[b * J, c, h, w] as [b, c, J, h, w]: a view, channels_last_3d if y is channels_last."""
    return y.reshape(b, -1, *y.shape[1:]).transpose(1, 2)


ACTIVATIONS: dict[str, Callable[[Tensor, Attrs], Tensor]] = {
    "none": lambda x, _: x,
    "relu": lambda x, _: F.relu(x),
    "silu": lambda x, _: F.silu(x),
    "sigmoid": lambda x, _: torch.sigmoid(x),
    "softmax": lambda x, _: torch.softmax(x, dim=1),
    "clamp": lambda x, a: _clamp(x, a["act_low"], a["act_high"]),
    "leaky_relu": lambda x, a: F.leaky_relu(x, a["act_slope"]),
    "elu": lambda x, a: F.elu(x, a["act_slope"]),
    "hard_sigmoid": lambda x, _: F.hardsigmoid(x),
    "hard_swish": lambda x, _: F.hardswish(x),
    "gelu": lambda x, _: F.gelu(x),
    "gelu_tanh": lambda x, _: F.gelu(x, approximate="tanh"),
    "tanh": lambda x, _: torch.tanh(x),
    "softplus": lambda x, _: F.softplus(x),
    "mish": lambda x, _: F.mish(x),
}


def _clamp(x: Tensor, low: float | None, high: float | None) -> Tensor:
    return x if low is None and high is None else torch.clamp(x, low, high)


def activate(x: Tensor, attrs: Attrs) -> Tensor:
    """The activation of x [b, c, ...] that a node has; softmax is over channels."""
    return ACTIVATIONS[attrs["act"]](x, attrs)


def finish(attrs: Attrs, layer: NodeLayer, y: Tensor) -> Tensor:
    """Norm and activation of what a convolution gave, y [n, c, h, w] or [b, c, J, h, w]."""
    if layer.norm is None:
        return activate(y, attrs)
    if y.shape[-1] == 1 and y.shape[-2] == 1:
        return activate(_norm_of_points(layer.norm, y), attrs)
    y = cast("Tensor", layer.norm(y))
    # Nothing else reads what a norm gives: no second map of this size.
    return F.relu_(y) if attrs["act"] == "relu" else activate(y, attrs)


def _norm_of_points(norm: nn.Module, y: Tensor) -> Tensor:
    """Batch norm where h = w = 1.

    There the backward of torch 2.13 on CPU silently reads a gradient in channels-last order as if
    it were contiguous, or the other way round. The views make both contiguous.
    """
    z = norm(y.contiguous())
    return cast("Tensor", z.flatten(1).view(z.shape))


def _conv(attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor]) -> Tensor:
    assert layer is not None
    x, padding = pad_unevenly(xs[0], attrs, 0.0)
    y = F.conv2d(
        x,
        layer.weight.squeeze(2),
        layer.bias,
        stride=tuple(attrs["stride"][1:]),
        padding=padding,
        dilation=tuple(attrs["dilation"][1:]),
        groups=attrs["groups"],
    )
    return finish(attrs, layer, y)


def is_pointwise(op: str, attrs: Attrs) -> bool:
    """Whether a node is a 1x1x1 convolution at every pixel of every firing."""
    one = {"kernel": 1, "stride": 1, "padding": 0, "padding_end": 0, "dilation": 1}
    return (
        op == "conv3d"
        and attrs["groups"] == 1
        and all(set(attrs[k]) == {v} for k, v in one.items())
    )


def pointwise_together(
    parts: Sequence[tuple[Attrs, NodeLayer]], x: Tensor
) -> list[Tensor]:
    """Pointwise convolutions of the same maps, as one: x is read once, and so is its gradient.

    Args:
        parts: attributes and parameters of each; none has a bias.
        x: [n, c, h, w].

    Returns:
        What each gives, norm and activation included.
    """
    weights = [layer.weight.squeeze(2) for _, layer in parts]
    together = F.conv2d(x, torch.cat(weights))
    last = together.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    # Norms of maps of their own, not of strips of a larger one.
    ys = torch.split(together, [w.shape[0] for w in weights], dim=1)
    return [
        finish(attrs, layer, y.contiguous(memory_format=layout))
        for (attrs, layer), y in zip(parts, ys)
    ]


def pad_unevenly(x: Tensor, attrs: Attrs, value: float) -> tuple[Tensor, tuple[int, int]]:
    """Pads x where its two sides differ; also gives the spatial padding left to torch."""
    (top, left), (bottom, right) = attrs["padding"], attrs["padding_end"]
    if (top, left) == (bottom, right):
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def pad_for_pool(
    x: Tensor, kernel: Sequence[int], padding: Sequence[int], value: float
) -> tuple[Tensor, tuple[int, int]]:
    """Pads x; also gives the spatial padding left to torch, which takes at most half a kernel."""
    ph, pw = padding
    if 2 * ph <= kernel[1] and 2 * pw <= kernel[2]:
        return x, (ph, pw)
    return F.pad(x, (pw, pw, ph, ph), value=value), (0, 0)


def _max_pool(attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor]) -> Tensor:
    del layer
    kernel = tuple(attrs["kernel"])
    x, padding = pad_unevenly(xs[0], attrs, -math.inf)
    x, padding = pad_for_pool(x, kernel, padding, -math.inf)
    return F.max_pool2d(x, kernel[1:], tuple(attrs["stride"][1:]), padding)


def _avg_pool(attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor]) -> Tensor:
    del layer
    kernel, include = tuple(attrs["kernel"]), bool(attrs["count_include_pad"])
    stride = tuple(attrs["stride"][1:])
    x, padding = pad_unevenly(xs[0], attrs, 0.0)
    if include:
        x, padding = pad_for_pool(x, kernel, padding, 0.0)
    y = F.avg_pool2d(x, kernel[1:], stride, padding, count_include_pad=include)
    return y if include or x is xs[0] else y / inside_share(xs[0], attrs)


def inside_share(x: Tensor, attrs: Attrs) -> Tensor:
    """How much of the pixels of every window lies inside the map x [..., h, w]: [h', w']."""
    (top, left), (bottom, right) = attrs["padding"], attrs["padding_end"]
    inside = F.pad(x.new_ones(1, 1, *x.shape[-2:]), (left, right, top, bottom))
    return F.avg_pool2d(inside, attrs["kernel"][1:], attrs["stride"][1:])[0, 0]


class _Join(torch.autograd.Function):
    """`torch.cat` over channels whose gradients are maps of their own, not strips of a larger one.

    On CPUs torch walks a strip of few channels that lies channels last run by run: the backward of
    the ReLU that reads it takes many times as long as on a map of its own, copy included. Strips of
    many channels are left as they are.
    """

    @staticmethod
    def forward(ctx: Any, *xs: Tensor) -> Tensor:
        ctx.channels = [x.shape[1] for x in xs]
        return torch.cat(xs, dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        (grad,) = grads
        last = grad.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        return tuple(
            strip if strip.shape[1] >= _LONG_RUN else strip.contiguous(memory_format=layout)
            for strip in torch.split(grad, ctx.channels, dim=1)
        )


def _concat(attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor]) -> Tensor:
    del attrs, layer
    if len(xs) == 1:
        return xs[0]
    plain = torch.compiler.is_compiling()  # which misreads _Join within a feedback cycle
    if xs[0].device.type == "cpu" and torch.is_grad_enabled() and not plain:
        return cast("Tensor", _Join.apply(*xs))  # type: ignore[no-untyped-call]
    return torch.cat(list(xs), dim=1)


def _upsample(attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor]) -> Tensor:
    del layer
    size = tuple(attrs["size"])
    if attrs["mode"] == "nearest":
        return F.interpolate(xs[0], size=size, mode="nearest")
    corners = bool(attrs["align_corners"])
    return F.interpolate(xs[0], size=size, mode="bilinear", align_corners=corners)


def _moved(move: Callable[[Attrs, Tensor], Tensor]) -> FrameOperation:
    def operation(attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor]) -> Tensor:
        del layer
        return move(attrs, laid(xs[0]))

    return operation


def _normed(norm: Callable[[Attrs, NodeLayer, Tensor], Tensor]) -> FrameOperation:
    def operation(attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor]) -> Tensor:
        assert layer is not None
        return activate(norm(attrs, layer, laid(xs[0])), attrs)

    return operation


FRAME_OPERATIONS: dict[str, FrameOperation] = {
    "conv3d": _conv,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "concat": _concat,
    "upsample": _upsample,
    "pad": _moved(pad),
    "channel_select": _moved(channel_select),
    "depth_to_space": _moved(depth_to_space),
    "space_to_depth": _moved(space_to_depth),
    "group_norm": _normed(group_norm),
    "layer_norm": _normed(layer_norm),
}


def is_framewise(op: str, attrs: Attrs) -> bool:
    """Whether a node reads one firing of every input and `FRAME_OPERATIONS` has it."""
    return op in FRAME_OPERATIONS and ("kernel" not in attrs or attrs["kernel"][0] == 1)
