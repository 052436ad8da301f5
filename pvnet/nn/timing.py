"""Layers without parameters that act on single pixels: a delay, and the normalisation of frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvnet.errors import InvalidArgumentError
from pvnet.nn.layer_state import LayerState, always_valid, check_clip, check_frame, new_state, push
from pvnet.nn.operations import normalize


class Delay(nn.Module):
    """The frame `ticks` ticks ago; 0 before there is one.

    Args:
        ticks: at least 0.

    Raises:
        InvalidArgumentError: negative ticks.
    """

    def __init__(self, ticks: int) -> None:
        super().__init__()
        if ticks < 0:
            raise InvalidArgumentError(
                f"[Delay] a layer cannot look ahead: got {ticks} ticks, expected at least 0. "
                "Delay the other branch instead."
            )
        self.ticks = ticks

    def extra_repr(self) -> str:
        """The ticks."""
        return f"ticks={self.ticks}"

    def forward(self, clip: Tensor) -> Tensor:
        """[b, c, t, h, w] -> the same shape, shifted."""
        check_clip("Delay", clip)
        return F.pad(clip, (0, 0, 0, 0, self.ticks, 0))[:, :, : clip.shape[2]]

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
            batch, channels, height, width, depth=self.ticks, dtype=dtype, device=device
        )

    def step(self, frame: Tensor, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
        """One frame [b, c, h, w] -> (y [b, c, h, w], valid [b] bool, the new state)."""
        check_frame("Delay", frame, state)
        seen, ring = push(state.ring, frame)
        valid = state.tick >= self.ticks
        return seen[:, :, 0], valid, LayerState(ring, state.held, state.tick + 1, state.size)


class Normalize(nn.Module):
    """(x - mean) / std per channel.

    Args:
        mean: one number per channel.
        std: one number per channel, none of them 0.

    Raises:
        InvalidArgumentError: different lengths, or a std of 0.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(std):
            raise InvalidArgumentError(
                f"[Normalize] mean and std do not fit: got {list(mean)} and {list(std)}, expected "
                "as many of one as of the other and no std of 0. Give one of each per channel."
            )
        self.mean, self.std = tuple(mean), tuple(std)

    def extra_repr(self) -> str:
        """Mean and std."""
        return f"mean={self.mean}, std={self.std}"

    def forward(self, clip: Tensor) -> Tensor:
        """[b, c, t, h, w] -> the same shape."""
        check_clip("Normalize", clip, len(self.mean))
        return normalize(clip, self.mean, self.std)

    def init_state(
        self,
        batch: int,
        height: int,
        width: int,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> LayerState:
        """The state before the first frame of `batch` videos of this size."""
        return new_state(batch, len(self.mean), height, width, depth=0, dtype=dtype, device=device)

    def step(self, frame: Tensor, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
        """One frame [b, c, h, w] -> (y [b, c, h, w], valid [b] bool, the new state)."""
        check_frame("Normalize", frame, state)
        y = normalize(frame, self.mean, self.std)
        return y, always_valid(state), state._replace(tick=state.tick + 1)
