"""The operations of pvnet.ops in plain torch: naive, differentiable, any device and dtype.

Every function has the signature and the semantics of its namesake without `_ref` (see there). The
fast operations are tested against these, and fall back to them where the core has no kernel (other
dtypes than float32, other devices than the CPU). The `_step_ref` functions also carry gradients,
through time too, as long as the ring is not a leaf that requires grad.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "causal_avg_pool3d_ref",
    "causal_avg_pool3d_step_ref",
    "causal_conv3d_ref",
    "causal_conv3d_step_ref",
    "causal_max_pool3d_ref",
    "causal_max_pool3d_step_ref",
    "pad_past",
    "ring_read_ref",
    "ring_write_ref",
]


def pad_past(clip: Tensor, frames: int) -> Tensor:
    """Put `frames` zero frames before clip [b, c, t, h, w]; none after it."""
    return F.pad(clip, (0, 0, 0, 0, frames, 0)) if frames > 0 else clip


def causal_conv3d_ref(
    clip: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    """`F.conv3d` of the clip with (kt - 1) * dilation_t zero frames put before it."""
    padded = pad_past(clip, (weight.shape[2] - 1) * dilation[0])
    return F.conv3d(padded, weight, bias, list(stride), [0, *padding], list(dilation), groups)


def causal_max_pool3d_ref(
    clip: Tensor,
    kernel: Sequence[int],
    *,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
) -> Tensor:
    """`F.max_pool3d` of the clip with kt - 1 zero frames put before it."""
    padded = pad_past(clip, kernel[0] - 1)
    return F.max_pool3d(padded, list(kernel), list(stride), [0, *padding])


def causal_avg_pool3d_ref(
    clip: Tensor,
    kernel: Sequence[int],
    *,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    count_include_pad: bool = True,
) -> Tensor:
    """`F.avg_pool3d` of the clip with kt - 1 zero frames, which are counted, put before it."""
    padded = pad_past(clip, kernel[0] - 1)
    return F.avg_pool3d(
        padded, list(kernel), list(stride), [0, *padding], count_include_pad=count_include_pad
    )


def ring_write_ref(ring: Tensor, tick: int, x: Tensor) -> None:
    """`ring[tick % depth] = x`."""
    ring[tick % ring.shape[0]] = x


def ring_read_ref(ring: Tensor, tick: int, delay: int) -> Tensor:
    """A copy of `ring[(tick - delay) % depth]`, or zeros before tick 0."""
    if tick < delay:
        return torch.zeros_like(ring[0])
    return ring[(tick - delay) % ring.shape[0]].clone()


def _window(ring: Tensor, tick: int, taps: int, dilation: int) -> Tensor:
    """The `taps` newest firings, oldest first, as a clip [b, c, taps, h, w]."""
    reads = [ring_read_ref(ring, tick, (taps - 1 - j) * dilation) for j in range(taps)]
    return torch.stack(reads, dim=2)


def _result(y: Tensor, due: bool) -> tuple[Tensor, Tensor]:
    """(y, valid) of one tick from a clip of one frame."""
    y = y[:, :, 0] if due else torch.zeros_like(y[:, :, 0])
    return y, torch.full((y.shape[0],), due, dtype=torch.bool, device=y.device)


def causal_conv3d_step_ref(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    """Write the frame, then convolve the window that ends with it."""
    ring_write_ref(ring, tick, frame)
    window = _window(ring, tick, weight.shape[2], dilation[0])
    y = F.conv3d(window, weight, bias, [1, *stride[1:]], [0, *padding], [1, *dilation[1:]], groups)
    return _result(y, tick % stride[0] == 0)


def causal_max_pool3d_step_ref(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    kernel: Sequence[int],
    *,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
) -> tuple[Tensor, Tensor]:
    """Write the frame, then pool the window that ends with it."""
    ring_write_ref(ring, tick, frame)
    window = _window(ring, tick, kernel[0], 1)
    y = F.max_pool3d(window, list(kernel), [1, *stride[1:]], [0, *padding])
    return _result(y, tick % stride[0] == 0)


def causal_avg_pool3d_step_ref(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    kernel: Sequence[int],
    *,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    count_include_pad: bool = True,
) -> tuple[Tensor, Tensor]:
    """Write the frame, then average the window that ends with it."""
    ring_write_ref(ring, tick, frame)
    window = _window(ring, tick, kernel[0], 1)
    y = F.avg_pool3d(
        window,
        list(kernel),
        [1, *stride[1:]],
        [0, *padding],
        count_include_pad=count_include_pad,
    )
    return _result(y, tick % stride[0] == 0)
