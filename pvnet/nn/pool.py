"""Causal pooling over time and space."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvnet.nn.conv import Size3, triple
from pvnet.nn.frames import pad_for_pool
from pvnet.nn.layer_state import (
    LayerState,
    always_valid,
    check_clip,
    check_frame,
    hold,
    new_state,
    push,
)


class _CausalPool3d(nn.Module):
    """What max and average pooling share; a frame before the first one counts as 0."""

    def __init__(
        self,
        kernel_size: Size3,
        *,
        stride: Size3 | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.kernel_size = triple(kernel_size)
        self.stride = self.kernel_size if stride is None else triple(stride)
        self.padding = (padding, padding) if isinstance(padding, int) else tuple(padding)

    def _pool(self, x: Tensor, stride: int) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """The sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def forward(self, clip: Tensor) -> Tensor:
        """[b, c, t, h, w] -> [b, c, ceil(t / stride), h', w']."""
        check_clip(type(self).__name__, clip)
        past = self.kernel_size[0] - 1
        padded = F.pad(clip, (0, 0, 0, 0, past, 0)) if past else clip
        return self._pool(padded, self.stride[0])

    def init_state(
        self,
        batch: int,
        height: int,
        width: int,
        *,
        channels: int,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> LayerState:
        """The state before the first frame of `batch` videos of this size."""
        held = [channels]
        for i, size in ((1, height), (2, width)):
            padded = size + 2 * self.padding[i - 1]
            held.append((padded - self.kernel_size[i]) // self.stride[i] + 1)
        return new_state(
            batch,
            channels,
            height,
            width,
            depth=self.kernel_size[0] - 1,
            held=tuple(held) if self.stride[0] > 1 else (0,),
            dtype=dtype,
            device=device,
        )

    def step(self, frame: Tensor, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
        """One frame [b, c, h, w] -> (y [b, c, h', w'], valid [b] bool, the new state).

        With a temporal stride s it fires at ticks 0, s, 2s, ... and y is held in between.

        Raises:
            InvalidArgumentError: a frame of another batch or size than the state was made for.
        """
        check_frame(type(self).__name__, frame, state)
        seen, ring = push(state.ring, frame)
        y, held = hold(self._pool(seen, 1).squeeze(2), state, self.stride[0])
        return y, always_valid(state), LayerState(ring, held, state.tick + 1, state.size)


class CausalMaxPool3d(_CausalPool3d):
    """Maximum over the last kt frames and a spatial window.

    Frames before the first one are 0 and take part; pixels outside the map do not.

    Args:
        kernel_size: (time, height, width).
        stride: (time, height, width); None: the kernel size.
        padding: (height, width).
    """

    def _pool(self, x: Tensor, stride: int) -> Tensor:
        x, padding = pad_for_pool(x, self.kernel_size, self.padding, -math.inf)
        strides = (stride, *self.stride[1:])
        return F.max_pool3d(x, self.kernel_size, strides, (0, *padding))


class CausalAvgPool3d(_CausalPool3d):
    """Average over the last kt frames and a spatial window; frames before the first one are 0.

    Args:
        kernel_size: (time, height, width).
        stride: (time, height, width); None: the kernel size.
        padding: (height, width).
        count_include_pad: whether pixels outside the map count as zeros.
    """

    def __init__(
        self,
        kernel_size: Size3,
        *,
        stride: Size3 | None = None,
        padding: int | tuple[int, int] = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride=stride, padding=padding)
        self.count_include_pad = count_include_pad

    def _pool(self, x: Tensor, stride: int) -> Tensor:
        padding = self.padding
        if self.count_include_pad:
            x, padding = pad_for_pool(x, self.kernel_size, self.padding, 0.0)
        strides = (stride, *self.stride[1:])
        include = self.count_include_pad
        return F.avg_pool3d(x, self.kernel_size, strides, (0, *padding), count_include_pad=include)


class GlobalPool(nn.Module):
    """Mean over space and over the last `window` frames; frames before the first one are 0.

    Args:
        window: number of frames, at least 1.
    """

    def __init__(self, window: int = 1) -> None:
        super().__init__()
        self.window = window

    def extra_repr(self) -> str:
        """The window."""
        return f"window={self.window}"

    def forward(self, clip: Tensor) -> Tensor:
        """[b, c, t, h, w] -> [b, c, t, 1, 1]."""
        check_clip("GlobalPool", clip)
        x = F.pad(clip.mean(dim=(3, 4), keepdim=True), (0, 0, 0, 0, self.window - 1, 0))
        return F.avg_pool3d(x, (self.window, 1, 1), 1)

    def init_state(
        self,
        batch: int,
        height: int,
        width: int,
        *,
        channels: int,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> LayerState:
        """The state before the first frame of `batch` videos of this size."""
        return new_state(
            batch,
            channels,
            height,
            width,
            depth=self.window - 1,
            dtype=dtype,
            device=device,
            ring_size=(1, 1),
        )

    def step(self, frame: Tensor, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
        """One frame [b, c, h, w] -> (y [b, c, 1, 1], valid [b] bool, the new state)."""
        check_frame("GlobalPool", frame, state)
        seen, ring = push(state.ring, frame.mean(dim=(2, 3), keepdim=True))
        valid = always_valid(state)
        return seen.mean(dim=2), valid, LayerState(ring, state.held, state.tick + 1, state.size)
