"""Causal max and average pooling of a clip, and the same layers advancing by one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pvnet import _core
from pvnet.ops import checks, device_op, reference
from pvnet.ops.checks import Sizes
from pvnet.ops.library import register, register_no_grad

__all__ = [
    "causal_avg_pool3d",
    "causal_avg_pool3d_step",
    "causal_max_pool3d",
    "causal_max_pool3d_step",
]


def causal_max_pool3d(
    clip: Tensor, kernel: Sizes, *, stride: Sizes = (1, 1, 1), padding: Sizes = (0, 0)
) -> Tensor:
    """Maximum over space and the last kt frames.

    Equation: `F.max_pool3d(F.pad(clip, kt - 1 zero frames on the left), kernel, stride,
    (0, *padding))`: a frame before the clip is the value 0, a pixel outside the map takes no part.
    Differentiable. float32 on the CPU runs pvnet's kernels, everything else plain torch. A NaN in a
    window is its maximum.

    Source: torch.nn.functional.max_pool3d, padded in the past only; Carreira et al.,
    "Massively Parallel Video Networks", ECCV 2018.

    Args:
        clip: [b, c, t, h, w], floating point, any strides.
        kernel: (time, height, width) or one integer.
        stride: (time, height, width) or one integer; unlike torch's pools it is 1 by default.
        padding: (height, width) or one integer, at most half the kernel.

    Returns:
        [b, c, ceil(t / stride_t), h', w'], contiguous, dtype of clip.

    Raises:
        InvalidArgumentError: shapes or dtypes that do not fit, or an empty axis.
    """
    where = "causal_max_pool3d"
    checks.tensor(where, "clip", clip, 5)
    window = _window_arguments(where, kernel, stride, padding)
    out: Tensor = torch.ops.pvnet.causal_max_pool3d(clip, *window)
    return out


def causal_avg_pool3d(
    clip: Tensor,
    kernel: Sizes,
    *,
    stride: Sizes = (1, 1, 1),
    padding: Sizes = (0, 0),
    count_include_pad: bool = True,
) -> Tensor:
    """Mean over space and the last kt frames.

    Equation: `F.avg_pool3d(F.pad(clip, kt - 1 zero frames on the left), kernel, stride,
    (0, *padding), count_include_pad=count_include_pad)`: frames before the clip are zeros and are
    always counted. Differentiable. float32 on the CPU runs pvnet's kernels, everything else torch.

    Source: torch.nn.functional.avg_pool3d, padded in the past only; Carreira et al.,
    "Massively Parallel Video Networks", ECCV 2018.

    Args:
        clip: [b, c, t, h, w], floating point, any strides.
        kernel: (time, height, width) or one integer.
        stride: (time, height, width) or one integer; unlike torch's pools it is 1 by default.
        padding: (height, width) or one integer, at most half the kernel.
        count_include_pad: whether pixels outside the map are counted as zeros.

    Returns:
        [b, c, ceil(t / stride_t), h', w'], contiguous, dtype of clip.

    Raises:
        InvalidArgumentError: shapes or dtypes that do not fit, or an empty axis.
    """
    where = "causal_avg_pool3d"
    checks.tensor(where, "clip", clip, 5)
    window = _window_arguments(where, kernel, stride, padding)
    out: Tensor = torch.ops.pvnet.causal_avg_pool3d(clip, *window, count_include_pad)
    return out


def causal_max_pool3d_step(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    kernel: Sizes,
    *,
    stride: Sizes = (1, 1, 1),
    padding: Sizes = (0, 0),
) -> tuple[Tensor, Tensor]:
    """Advance a causal max pool by one frame; ring, tick, due ticks as in causal_conv3d_step.

    Args:
        frame: [b, c, h, w], floating point, any strides.
        ring: [d, b, c, h, w] with d >= kt; the frame is written in place into slot tick mod d.
        tick: index of this frame, from 0.
        kernel: as in causal_max_pool3d.
        stride: as in causal_max_pool3d.
        padding: as in causal_max_pool3d.

    Returns:
        (y, valid): y [b, c, h', w'], zeros when not due; valid bool[b], whether the layer was due.

    Raises:
        InvalidArgumentError: shapes, dtypes or devices that do not fit, a ring too short, a
            negative tick, or an argument that requires grad.
    """
    where = "causal_max_pool3d_step"
    checks.tensor(where, "frame", frame, 4)
    checks.tensor(where, "ring", ring, 5)
    window = _window_arguments(where, kernel, stride, padding)
    y, valid = torch.ops.pvnet.causal_max_pool3d_step(frame, ring, tick, *window)
    return y, valid


def causal_avg_pool3d_step(
    frame: Tensor,
    ring: Tensor,
    tick: int,
    kernel: Sizes,
    *,
    stride: Sizes = (1, 1, 1),
    padding: Sizes = (0, 0),
    count_include_pad: bool = True,
) -> tuple[Tensor, Tensor]:
    """Advance a causal average pool by one frame; ring, tick, due ticks as in causal_conv3d_step.

    Args:
        frame: [b, c, h, w], floating point, any strides.
        ring: [d, b, c, h, w] with d >= kt; the frame is written in place into slot tick mod d.
        tick: index of this frame, from 0.
        kernel: as in causal_avg_pool3d.
        stride: as in causal_avg_pool3d.
        padding: as in causal_avg_pool3d.
        count_include_pad: as in causal_avg_pool3d.

    Returns:
        (y, valid): y [b, c, h', w'], zeros when not due; valid bool[b], whether the layer was due.

    Raises:
        InvalidArgumentError: shapes, dtypes or devices that do not fit, a ring too short, a
            negative tick, or an argument that requires grad.
    """
    where = "causal_avg_pool3d_step"
    checks.tensor(where, "frame", frame, 4)
    checks.tensor(where, "ring", ring, 5)
    window = _window_arguments(where, kernel, stride, padding)
    y, valid = torch.ops.pvnet.causal_avg_pool3d_step(frame, ring, tick, *window, count_include_pad)
    return y, valid


def _window_arguments(
    where: str, kernel: Sizes, stride: Sizes, padding: Sizes
) -> tuple[list[int], list[int], list[int]]:
    sizes = (
        checks.sizes(where, "kernel", kernel, 3),
        checks.sizes(where, "stride", stride, 3),
        checks.sizes(where, "padding", padding, 2, minimum=0),
    )
    checks.pool_padding(where, sizes[0], sizes[2])
    return sizes


class _Pool:
    """The kernels of one pool and of its step; `is_max` picks which."""

    def __init__(self, *, is_max: bool) -> None:
        self.is_max = is_max
        self.name = "causal_max_pool3d" if is_max else "causal_avg_pool3d"

    def _options(self, count_include_pad: bool) -> dict[str, bool]:
        return {} if self.is_max else {"count_include_pad": count_include_pad}

    def _spatial(
        self,
        where: str,
        x: Tensor,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
    ) -> list[int]:
        checks.floating(where, "the input", x)
        _window_arguments(where, kernel, stride, padding)
        axes = zip(("height", "width"), x.shape[-2:], kernel[1:], stride[1:], padding)
        return [checks.extent(where, *axis, 1) for axis in axes]

    def check(
        self,
        clip: Tensor,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,  # noqa: ARG002
    ) -> Tensor:
        """Check everything and allocate the result; this is also the fake kernel."""
        checks.tensor(self.name, "clip", clip, 5)
        hw = self._spatial(self.name, clip, kernel, stride, padding)
        t = (clip.shape[2] + stride[0] - 1) // stride[0]
        return device_op.new_like(clip, [clip.shape[0], clip.shape[1], t, *hw])

    def check_step(
        self,
        frame: Tensor,
        ring: Tensor,
        tick: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """As check, for a step."""
        where = self.name + "_step"
        checks.ring_and_frame(where, ring, tick, frame)
        hw = self._spatial(where, frame, kernel, stride, padding)
        checks.ring_depth(where, ring, kernel[0], 1)
        y = device_op.new_like(frame, [frame.shape[0], frame.shape[1], *hw])
        return y, frame.new_empty([frame.shape[0]], dtype=torch.bool)

    def clip_other(
        self,
        clip: Tensor,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,
    ) -> Tensor:
        """The clip on any device, in plain torch."""
        self.check(clip, kernel, stride, padding)
        ref = getattr(reference, self.name + "_ref")
        options = self._options(count_include_pad)
        y: Tensor = ref(clip, kernel, stride=stride, padding=padding, **options)
        return y.contiguous(memory_format=device_op.memory_format(clip))

    def _spec(
        self,
        x: Tensor,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        count_include_pad: bool,
    ) -> device_op.Spec:
        shape = (x.shape[1], x.shape[-2], x.shape[-1])
        op = "max_pool" if self.is_max else "avg_pool"
        window = (tuple(kernel), tuple(stride), tuple(padding))
        return device_op.Spec(op, shape, x.shape[1], *window, count_include_pad=count_include_pad)

    def clip_cuda(
        self,
        clip: Tensor,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,
    ) -> Tensor:
        """The clip in the core's kernels on a device where it is channels last."""
        y = self.check(clip, kernel, stride, padding)
        if device_op.run_clip(
            self._spec(clip, kernel, stride, padding, count_include_pad), clip, y
        ):
            return y
        return self.clip_other(clip, kernel, stride, padding, count_include_pad)

    def clip_cpu(
        self,
        clip: Tensor,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,
    ) -> Tensor:
        """The clip in the core's kernels where it has them."""
        if clip.dtype != torch.float32:
            return self.clip_other(clip, kernel, stride, padding, count_include_pad)
        y = self.check(clip, kernel, stride, padding)
        threads = torch.get_num_threads()
        _core.ops.causal_pool3d(
            clip, y, self.is_max, kernel, stride, padding, count_include_pad, threads
        )
        return y

    def step_other(
        self,
        frame: Tensor,
        ring: Tensor,
        tick: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """The step on any device, in plain torch."""
        self.check_step(frame, ring, tick, kernel, stride, padding)
        ref = getattr(reference, self.name + "_step_ref")
        options = self._options(count_include_pad)
        y, valid = ref(frame, ring, tick, kernel, stride=stride, padding=padding, **options)
        return y.contiguous(memory_format=device_op.memory_format(frame)), valid

    def step_cuda(
        self,
        frame: Tensor,
        ring: Tensor,
        tick: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """The step in the core's kernels on a device where frame and ring are channels last."""
        y, valid = self.check_step(frame, ring, tick, kernel, stride, padding)
        spec = self._spec(frame, kernel, stride, padding, count_include_pad)
        if tick % stride[0] == 0 and device_op.takes(ring.transpose(1, 2), y):
            ring[tick % ring.shape[0]].copy_(frame)
            if device_op.run_step(spec, ring, tick, y):
                return y, valid.fill_(True)
        return self.step_other(frame, ring, tick, kernel, stride, padding, count_include_pad)

    def step_cpu(
        self,
        frame: Tensor,
        ring: Tensor,
        tick: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0),
        count_include_pad: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """The step in the core's kernels where it has them."""
        if frame.dtype != torch.float32:
            return self.step_other(frame, ring, tick, kernel, stride, padding, count_include_pad)
        y, valid = self.check_step(frame, ring, tick, kernel, stride, padding)
        threads = torch.get_num_threads()
        due = _core.ops.causal_pool3d_step(
            frame, ring, tick, y, self.is_max, kernel, stride, padding, count_include_pad, threads
        )
        return y if due else y.zero_(), valid.fill_(due)

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG002
        """Keep what backward needs."""
        clip, *ctx.window = inputs
        ctx.save_for_backward(clip)

    def backward(self, ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Torch's own pooling gradients on the clip with its zero frames put before it."""
        (clip,) = ctx.saved_tensors
        kernel, stride, padding = (list(v) for v in ctx.window[:3])
        window = (kernel, stride, [0, *padding])
        padded = reference.pad_past(clip, kernel[0] - 1)
        aten = torch.ops.aten
        if self.is_max:
            _, indices = aten.max_pool3d_with_indices(padded, *window)
            grad_padded = aten.max_pool3d_with_indices_backward(
                grad, padded, *window, [1, 1, 1], False, indices
            )
        else:
            grad_padded = aten.avg_pool3d_backward(
                grad, padded, *window, False, ctx.window[3], None
            )
        return (grad_padded[:, :, kernel[0] - 1 :], *[None] * len(ctx.window))


for _pool in (_Pool(is_max=True), _Pool(is_max=False)):
    register(
        _pool.name,
        cpu=_pool.clip_cpu,
        cuda=_pool.clip_cuda,
        other=_pool.clip_other,
        fake=_pool.check,
    )
    register(
        _pool.name + "_step",
        cpu=_pool.step_cpu,
        cuda=_pool.step_cuda,
        other=_pool.step_other,
        fake=_pool.check_step,
    )
    torch.library.register_autograd(
        "pvnet::" + _pool.name, _pool.backward, setup_context=_pool.setup_context
    )
    register_no_grad(
        _pool.name + "_step",
        cure=f"Train with {_pool.name} or pvnet.ops.reference.{_pool.name}_step_ref",
    )
