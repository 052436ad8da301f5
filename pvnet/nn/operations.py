"""What every op of a graph computes, on tensors [b, c, J, h, w] over firings.

The same functions serve a whole clip (J firings at once) and one firing (J = the taps of it). The
caller hands over inputs that are already padded in time, with the stride and dilation to use there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pvnet.nn.frames import (
    FRAME_OPERATIONS,
    Attrs,
    activate,
    finish,
    inside_share,
    is_framewise,
    pad_for_pool,
    pad_unevenly,
    per_clip,
    per_frame,
)
from pvnet.nn.node_layers import NodeLayer

Operation = Callable[[Attrs, NodeLayer | None, Sequence[Tensor], int, int], Tensor]


def _framewise(
    op: str, attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int
) -> Tensor:
    """An op of one tap, by its counterpart on frames."""
    maps = [per_frame(x if stride == 1 else x[:, :, ::stride]) for x in xs]
    return per_clip(FRAME_OPERATIONS[op](attrs, layer, maps), xs[0].shape[0])


def _conv3d(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    if is_framewise("conv3d", attrs):
        return _framewise("conv3d", attrs, layer, xs, stride)
    assert layer is not None
    x, padding = pad_unevenly(xs[0], attrs, 0.0)
    y = F.conv3d(
        x,
        layer.weight,
        layer.bias,
        stride=(stride, *attrs["stride"][1:]),
        padding=(0, *padding),
        dilation=(dilation, *attrs["dilation"][1:]),
        groups=attrs["groups"],
    )
    return finish(attrs, layer, y)


def _spread(x: Tensor, taps: int, stride: int, dilation: int) -> tuple[Tensor, int]:
    """Lays dilated taps side by side: torch's average pooling knows no dilation."""
    if dilation == 1 or taps == 1:
        return x, stride
    outputs = (x.shape[2] - (taps - 1) * dilation - 1) // stride + 1
    index = [j * stride + i * dilation for j in range(outputs) for i in range(taps)]
    return x[:, :, index], taps


def _max_pool(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    if is_framewise("max_pool", attrs):
        return _framewise("max_pool", attrs, layer, xs, stride)
    kernel = tuple(attrs["kernel"])
    x, padding = pad_unevenly(xs[0], attrs, -math.inf)
    x, padding = pad_for_pool(x, kernel, padding, -math.inf)
    strides = (stride, *attrs["stride"][1:])
    return F.max_pool3d(x, kernel, strides, (0, *padding), (dilation, 1, 1))


def _avg_pool(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    if is_framewise("avg_pool", attrs):
        return _framewise("avg_pool", attrs, layer, xs, stride)
    kernel, include = tuple(attrs["kernel"]), bool(attrs["count_include_pad"])
    clip, stride = _spread(xs[0], kernel[0], stride, dilation)
    x, padding = pad_unevenly(clip, attrs, 0.0)
    if include:
        x, padding = pad_for_pool(x, kernel, padding, 0.0)
    strides = (stride, *attrs["stride"][1:])
    y = F.avg_pool3d(x, kernel, strides, (0, *padding), count_include_pad=include)
    return y if include or x is clip else y / inside_share(clip, attrs)


def _global_pool(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer
    x = xs[0].mean(dim=(3, 4), keepdim=True)
    taps = int(attrs["window"])
    x, stride = _spread(x, taps, stride, dilation)
    return x[:, :, ::stride] if taps == 1 else F.avg_pool3d(x, (taps, 1, 1), (stride, 1, 1))


def _concat(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del dilation
    return xs[0] if len(xs) == 1 else _framewise("concat", attrs, layer, xs, stride)


def _add(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer, stride, dilation
    y = xs[0]
    for x in xs[1:]:
        y = y + x
    return activate(y, attrs)


def _mul(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer, stride, dilation
    y = xs[0]
    for x in xs[1:]:
        y = y * x
    return activate(y, attrs)


def _act(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer, stride, dilation
    return activate(xs[0], attrs)


def _upsample(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del dilation
    return _framewise("upsample", attrs, layer, xs, stride)


def _linear(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del stride, dilation
    assert layer is not None
    y = F.linear(xs[0].transpose(1, 2).flatten(2), layer.weight, layer.bias)
    return activate(y.transpose(1, 2)[..., None, None], attrs)


def per_channel(values: Sequence[float], x: Tensor) -> Tensor:
    """Values as a tensor that broadcasts over x [b, c, ...]."""
    return torch.tensor(values, dtype=x.dtype, device=x.device).reshape(-1, *[1] * (x.dim() - 2))


def _normalize(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer, stride, dilation
    return normalize(xs[0], attrs.get("mean") or (), attrs.get("std") or ())


def normalize(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(x - mean) / std per channel of x [b, c, ...]; empty: 0 and 1."""
    if len(mean):
        x = x - per_channel(mean, x)
    return x / per_channel(std, x) if len(std) else x


def _identity(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del attrs, layer, stride, dilation
    return xs[0]


OPERATIONS: dict[str, Operation] = {
    "conv3d": _conv3d,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_pool": _global_pool,
    "concat": _concat,
    "add": _add,
    "mul": _mul,
    "act": _act,
    "upsample": _upsample,
    "linear": _linear,
    "normalize": _normalize,
    "delay": _identity,
    "feedback": _identity,
}

# Ops that take the stride and dilation in time themselves, with how many taps they read and how far
# apart these are (in firings of the input).
TEMPORAL: dict[str, Callable[[Attrs], tuple[int, int]]] = {
    "conv3d": lambda a: (int(a["kernel"][0]), int(a["dilation"][0])),
    "max_pool": lambda a: (int(a["kernel"][0]), 1),
    "avg_pool": lambda a: (int(a["kernel"][0]), 1),
    "global_pool": lambda a: (int(a["window"]), 1),
}
