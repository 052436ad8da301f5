"""What every op of a graph computes, on tensors [b, c, J, h, w] over firings.

The same functions serve a whole clip (J firings at once) and one firing (J = the taps of it): the
caller hands over inputs that are already padded in time, with the stride and dilation to use there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvnet.nn.node_layers import NodeLayer

Attrs = Mapping[str, Any]
Operation = Callable[[Attrs, NodeLayer | None, Sequence[Tensor], int, int], Tensor]


def activate(x: Tensor, act: str | None) -> Tensor:
    """The activation `act` of x [b, c, ...]; softmax is over channels."""
    if act in (None, "none"):
        return x
    if act == "relu":
        return F.relu(x)
    if act == "silu":
        return F.silu(x)
    if act == "sigmoid":
        return torch.sigmoid(x)
    return torch.softmax(x, dim=1)


def _norm(norm: nn.Module, y: Tensor) -> Tensor:
    """Batch norm of y [b, c, J, h, w].

    With h = w = 1 the backward of torch 2.13 on CPU silently reads a gradient in channels-last
    order as if it were contiguous, or the other way round. The views make both contiguous there.
    """
    if y.shape[3] > 1 or y.shape[4] > 1:
        return cast("Tensor", norm(y))
    z = norm(y.contiguous())
    return cast("Tensor", z.flatten(1).view(z.shape))


def per_frame(x: Tensor) -> Tensor:
    """[b, c, J, h, w] as [b * J, c, h, w]; a view where x is laid out channels_last_3d."""
    b, c, j, h, w = x.shape
    return x.transpose(1, 2).reshape(b * j, c, h, w)


def per_clip(y: Tensor, b: int) -> Tensor:
    """[b * J, c, h, w] as [b, c, J, h, w]; a view, channels_last_3d where y is channels_last."""
    return y.reshape(b, -1, *y.shape[1:]).transpose(1, 2)


def _conv3d(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    assert layer is not None
    x, (ph, pw) = xs[0], attrs["padding"]
    if attrs["kernel"][0] == 1:
        # One tap: a convolution of frames. The libraries under torch have far better kernels for
        # those than for volumes of depth 1, on CPUs and on GPUs.
        y = F.conv2d(
            per_frame(x if stride == 1 else x[:, :, ::stride]),
            layer.weight.squeeze(2),
            layer.bias,
            stride=tuple(attrs["stride"][1:]),
            padding=(ph, pw),
            dilation=tuple(attrs["dilation"][1:]),
            groups=attrs["groups"],
        )
        y = per_clip(y, x.shape[0])
    else:
        y = F.conv3d(
            x,
            layer.weight,
            layer.bias,
            stride=(stride, *attrs["stride"][1:]),
            padding=(0, ph, pw),
            dilation=(dilation, *attrs["dilation"][1:]),
            groups=attrs["groups"],
        )
    if layer.norm is not None:
        y = _norm(layer.norm, y)
    return activate(y, attrs["act"])


def _spread(x: Tensor, taps: int, stride: int, dilation: int) -> tuple[Tensor, int]:
    """Lays dilated taps side by side: torch's average pooling knows no dilation."""
    if dilation == 1 or taps == 1:
        return x, stride
    outputs = (x.shape[2] - (taps - 1) * dilation - 1) // stride + 1
    index = [j * stride + i * dilation for j in range(outputs) for i in range(taps)]
    return x[:, :, index], taps


def pad_for_pool(
    x: Tensor, kernel: Sequence[int], padding: Sequence[int], value: float
) -> tuple[Tensor, tuple[int, int, int]]:
    """Pads x; also gives the spatial padding left to torch, which takes at most half a kernel."""
    ph, pw = padding
    if 2 * ph <= kernel[1] and 2 * pw <= kernel[2]:
        return x, (0, ph, pw)
    return F.pad(x, (pw, pw, ph, ph), value=value), (0, 0, 0)


def _max_pool(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer
    kernel = tuple(attrs["kernel"])
    x, padding = pad_for_pool(xs[0], kernel, attrs["padding"], -math.inf)
    if kernel[0] == 1:
        frames = per_frame(x if stride == 1 else x[:, :, ::stride])
        y = F.max_pool2d(frames, kernel[1:], tuple(attrs["stride"][1:]), padding[1:])
        return per_clip(y, x.shape[0])
    return F.max_pool3d(x, kernel, (stride, *attrs["stride"][1:]), padding, (dilation, 1, 1))


def _avg_pool(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer
    kernel = tuple(attrs["kernel"])
    x, stride = _spread(xs[0], kernel[0], stride, dilation)
    include = bool(attrs["count_include_pad"])
    padding = (0, *attrs["padding"])
    if include:
        x, padding = pad_for_pool(x, kernel, attrs["padding"], 0.0)
    if kernel[0] == 1:
        y = F.avg_pool2d(
            per_frame(x if stride == 1 else x[:, :, ::stride]),
            kernel[1:],
            tuple(attrs["stride"][1:]),
            padding[1:],
            count_include_pad=include,
        )
        return per_clip(y, x.shape[0])
    return F.avg_pool3d(
        x, kernel, (stride, *attrs["stride"][1:]), padding, count_include_pad=include
    )


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
    del attrs, layer, stride, dilation
    if len(xs) == 1:
        return xs[0]
    # CUDA joins tensors of more than four dimensions one by one, slowly.
    return per_clip(torch.cat([per_frame(x) for x in xs], dim=1), xs[0].shape[0])


def _add(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer, stride, dilation
    y = xs[0]
    for x in xs[1:]:
        y = y + x
    return activate(y, attrs["act"])


def _mul(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del attrs, layer, stride, dilation
    y = xs[0]
    for x in xs[1:]:
        y = y * x
    return y


def _act(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer, stride, dilation
    return activate(xs[0], attrs["act"])


def _upsample(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del layer, stride, dilation
    x, size = xs[0], tuple(attrs["size"])
    if attrs["mode"] == "nearest":
        y = F.interpolate(per_frame(x), size=size, mode="nearest")
    else:
        y = F.interpolate(per_frame(x), size=size, mode="bilinear", align_corners=False)
    return per_clip(y, x.shape[0])


def _linear(
    attrs: Attrs, layer: NodeLayer | None, xs: Sequence[Tensor], stride: int, dilation: int
) -> Tensor:
    del stride, dilation
    assert layer is not None
    y = F.linear(xs[0].transpose(1, 2).flatten(2), layer.weight, layer.bias)
    return activate(y.transpose(1, 2)[..., None, None], attrs["act"])


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
