"""Causal 3-d convolution of a clip, and the same layer advancing by one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pvnet import _core
from pvnet.ops import checks, device_op, reference
from pvnet.ops.checks import Sizes
from pvnet.ops.library import register, register_no_grad

__all__ = ["causal_conv3d", "causal_conv3d_step"]


def causal_conv3d(
    clip: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Sizes = (1, 1, 1),
    padding: Sizes = (0, 0),
    dilation: Sizes = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    """Convolve a clip in space and time; nothing looks ahead.

    Equation: `y = F.conv3d(F.pad(clip, (kt - 1) * dilation_t zero frames on the left), weight,
    bias, stride, (0, *padding), dilation, groups)`; the output at index j belongs to tick
    j * stride_t and depends on frames up to that tick only. Differentiable, also twice.

    float32 on the CPU runs pvnet's own kernels with `torch.get_num_threads()` threads. So do
    float32, float16 and bfloat16 on CUDA, in the current cuda_stream, where clip is in
    `torch.channels_last_3d` and 16 bytes divide a pixel. All else runs `F.conv3d`.

    Source: torch.nn.functional.conv3d, padded in the past only; causal networks of Carreira et al.,
    "Massively Parallel Video Networks", ECCV 2018.

    Args:
        clip: [b, c, t, h, w], floating point, any strides.
        weight: [out, c / groups, kt, kh, kw], dtype and device of clip; kt - 1 is the newest tap.
        bias: [out] or None.
        stride: (time, height, width) or one integer, at least 1.
        padding: (height, width) or one integer: zeros on both sides; time is padded in the past.
        dilation: (time, height, width) or one integer, at least 1.
        groups: divides c and out.

    Returns:
        [b, out, ceil(t / stride_t), h', w'], dtype of clip. Contiguous; on CUDA in the memory
        format of clip.

    Raises:
        InvalidArgumentError: shapes, dtypes or devices that do not fit, or an empty axis.
    """
    where = "causal_conv3d"
    checks.tensor(where, "clip", clip, 5)
    checks.tensor(where, "weight", weight, 5)
    out: Tensor = torch.ops.pvnet.causal_conv3d(
        clip, weight, bias, *_window_arguments(where, stride, padding, dilation), groups
    )
    return out


def causal_conv3d_step(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Sizes = (1, 1, 1),
    padding: Sizes = (0, 0),
    dilation: Sizes = (1, 1, 1),
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    """Advance a causal convolution by one frame.

    Equation: after steps at ticks 0 ... t with the frames of a clip, the outputs of the ticks
    0, stride_t, 2 * stride_t, ... are `causal_conv3d(clip[:, :, :t + 1])`.

    The ring holds the last firings of the *input*: the frame is written into slot tick mod depth,
    at every tick, due or not. The layer is due when tick mod stride_t == 0; tap i then reads the
    slot of tick - i * dilation_t, which counts as 0 before tick 0 whatever the slot holds. Ticks
    must be consecutive from 0; all batch rows share the tick.

    Source: the stateful form of causal_conv3d (see there); docs/glossary.md has ring and due.

    Not differentiable: refused while grad mode is on and an argument requires grad. Use
    `reference.causal_conv3d_step_ref` or the clip form for training.

    Args:
        frame: [b, c, h, w], floating point, any strides.
        ring: [d, b, c, h, w] with d >= (kt - 1) * dilation_t + 1; written in place. Its initial
            content does not matter.
        tick: index of this frame, from 0.
        weight: [out, c / groups, kt, kh, kw].
        bias: [out] or None.
        stride: as in causal_conv3d.
        padding: as in causal_conv3d.
        dilation: as in causal_conv3d.
        groups: as in causal_conv3d.

    Returns:
        (y, valid): y [b, out, h', w'], zeros when not due; valid bool[b], whether it was due.

    Raises:
        InvalidArgumentError: shapes, dtypes or devices that do not fit, a ring too short, a
            negative tick, or an argument that requires grad.
    """
    where = "causal_conv3d_step"
    checks.tensor(where, "frame", frame, 4)
    checks.tensor(where, "ring", ring, 5)
    checks.tensor(where, "weight", weight, 5)
    y, valid = torch.ops.pvnet.causal_conv3d_step(
        frame,
        ring,
        tick,
        weight,
        bias,
        *_window_arguments(where, stride, padding, dilation),
        groups,
    )
    return y, valid


def _window_arguments(
    where: str, stride: Sizes, padding: Sizes, dilation: Sizes
) -> tuple[list[int], list[int], list[int]]:
    return (
        checks.sizes(where, "stride", stride, 3),
        checks.sizes(where, "padding", padding, 2, minimum=0),
        checks.sizes(where, "dilation", dilation, 3),
    )


def _spatial(
    where: str,
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """[h', w'] for x [..., h, w]."""
    return [
        checks.extent(
            where,
            ("height", "width")[i],
            x.shape[i - 2],
            weight.shape[3 + i],
            stride[1 + i],
            padding[i],
            dilation[1 + i],
        )
        for i in range(2)
    ]


def _check_clip(
    clip: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    """Check everything and allocate the result; this is also the fake kernel."""
    where = "causal_conv3d"
    checks.tensor(where, "clip", clip, 5)
    checks.conv(where, clip, weight, bias, clip.shape[1], groups)
    _window_arguments(where, stride, padding, dilation)
    t = (clip.shape[2] + stride[0] - 1) // stride[0]
    hw = _spatial(where, clip, weight, stride, padding, dilation)
    return device_op.new_like(clip, [clip.shape[0], weight.shape[0], t, *hw])


def _check_step(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    where = "causal_conv3d_step"
    checks.ring_and_frame(where, ring, tick, frame)
    checks.conv(where, frame, weight, bias, frame.shape[1], groups)
    _window_arguments(where, stride, padding, dilation)
    checks.ring_depth(where, ring, weight.shape[2], dilation[0])
    hw = _spatial(where, frame, weight, stride, padding, dilation)
    y = device_op.new_like(frame, [frame.shape[0], weight.shape[0], *hw])
    return y, frame.new_empty([frame.shape[0]], dtype=torch.bool)


def _clip_other(
    clip: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    _check_clip(clip, weight, bias, stride, padding, dilation, groups)
    return reference.causal_conv3d_ref(
        clip, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    ).contiguous(memory_format=device_op.memory_format(clip))


def _clip_cpu(
    clip: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    if clip.dtype != torch.float32:
        return _clip_other(clip, weight, bias, stride, padding, dilation, groups)
    y = _check_clip(clip, weight, bias, stride, padding, dilation, groups)
    threads = torch.get_num_threads()
    _core.ops.causal_conv3d(clip, weight, bias, y, stride, padding, dilation, groups, threads)
    return y


def _spec(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> device_op.Spec:
    return device_op.Spec(
        "conv3d",
        (x.shape[1], x.shape[-2], x.shape[-1]),
        weight.shape[0],
        tuple(weight.shape[2:]),
        tuple(stride),
        tuple(padding),
        tuple(dilation),
        groups,
    )


def _clip_cuda(
    clip: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    y = _check_clip(clip, weight, bias, stride, padding, dilation, groups)
    spec = _spec(clip, weight, stride, padding, dilation, groups)
    if device_op.run_clip(spec, clip, y, weight, bias):
        return y
    return _clip_other(clip, weight, bias, stride, padding, dilation, groups)


def _step_other(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    _check_step(frame, ring, tick, weight, bias, stride, padding, dilation, groups)
    y, valid = reference.causal_conv3d_step_ref(
        frame,
        ring,
        tick,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    return y.contiguous(memory_format=device_op.memory_format(frame)), valid


def _step_cuda(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    y, valid = _check_step(frame, ring, tick, weight, bias, stride, padding, dilation, groups)
    spec = _spec(frame, weight, stride, padding, dilation, groups)
    if tick % stride[0] == 0 and device_op.takes(ring.transpose(1, 2), y):
        ring[tick % ring.shape[0]].copy_(frame)
        if device_op.run_step(spec, ring, tick, y, weight, bias):
            return y, valid.fill_(True)
    return _step_other(frame, ring, tick, weight, bias, stride, padding, dilation, groups)


def _step_cpu(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    if frame.dtype != torch.float32:
        return _step_other(frame, ring, tick, weight, bias, stride, padding, dilation, groups)
    y, valid = _check_step(frame, ring, tick, weight, bias, stride, padding, dilation, groups)
    threads = torch.get_num_threads()
    due = _core.ops.causal_conv3d_step(
        frame, ring, tick, weight, bias, y, stride, padding, dilation, groups, threads
    )
    return y if due else y.zero_(), valid.fill_(due)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    clip, weight, bias, *ctx.window = inputs
    ctx.out_channels = None if bias is None else [weight.shape[0]]
    ctx.save_for_backward(clip, weight)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Torch's own convolution gradients on the clip with its zero frames put before it."""
    clip, weight = ctx.saved_tensors
    stride, padding, dilation, groups = ctx.window
    past = (weight.shape[2] - 1) * dilation[0]
    # Arguments left at their default are cut off the end of needs_input_grad.
    need_clip, need_weight, need_bias = (*ctx.needs_input_grad, False)[:3]
    grad_clip, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
        grad,
        reference.pad_past(clip, past),
        weight,
        ctx.out_channels,
        list(stride),
        [0, *padding],
        list(dilation),
        False,
        [0, 0, 0],
        groups,
        [need_clip, need_weight, need_bias],
    )
    grad_clip = grad_clip[:, :, past:] if need_clip else None
    return (
        grad_clip,
        grad_weight if need_weight else None,
        grad_bias if need_bias else None,
        *[None] * 4,
    )


register("causal_conv3d", cpu=_clip_cpu, cuda=_clip_cuda, other=_clip_other, fake=_check_clip)
register("causal_conv3d_step", cpu=_step_cpu, cuda=_step_cuda, other=_step_other, fake=_check_step)
torch.library.register_autograd("pvnet::causal_conv3d", _backward, setup_context=_setup_context)
register_no_grad(
    "causal_conv3d_step",
    cure="Train with causal_conv3d or pvnet.ops.reference.causal_conv3d_step_ref",
)
