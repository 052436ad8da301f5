"""The state of a single layer that is run frame by frame, and the helpers all layers share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pvnet.errors import InvalidArgumentError


class LayerState(NamedTuple):
    """What a layer remembers between two steps: a pytree of tensors, never changed in place.

    Attributes:
        ring: [b, c, d, h, w], the last d frames, newest last; 0 where there was none.
        held: [b, c, h, w], the last output of a layer with a temporal stride above 1; otherwise
            empty.
        tick: [b] int64, the number of steps made.
        size: [b, 0, h, w], carries the frame size.
    """

    ring: Tensor
    held: Tensor
    tick: Tensor
    size: Tensor


class StreamingLayer(Protocol):
    """A layer that runs over a clip or frame by frame, with the same results.

    The equation: with y = forward(clip) and (y_t, valid, state) = step(clip[:, :, t], state),
    y[:, :, j] = y_t at t = j * s for a temporal stride s, and y_t is held in between.
    """

    def forward(self, clip: Tensor) -> Tensor:
        """[b, c, t, h, w] -> [b, c', ceil(t / s), h', w']."""
        ...

    def step(self, frame: Tensor, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
        """[b, c, h, w] -> ([b, c', h', w'], valid [b] bool, the new state)."""
        ...


def new_state(
    batch: int,
    channels: int,
    height: int,
    width: int,
    *,
    depth: int,
    held: tuple[int, ...] = (0,),
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    ring_size: tuple[int, int] | None = None,
) -> LayerState:
    """The state before the first frame: zeros."""
    if min(batch, channels, height, width) < 1:
        raise InvalidArgumentError(
            f"[init_state] sizes must be positive: got batch {batch}, channels {channels}, height "
            f"{height}, width {width}, expected all of them at least 1. Give the size of a frame."
        )
    ring_shape = (batch, channels, depth, *(ring_size or (height, width)))
    return LayerState(
        ring=torch.zeros(ring_shape, dtype=dtype, device=device),
        held=torch.zeros((batch, *held), dtype=dtype, device=device),
        tick=torch.zeros(batch, dtype=torch.int64, device=device),
        size=torch.empty((batch, 0, height, width), dtype=dtype, device=device),
    )


def check_clip(where: str, clip: Tensor, channels: int | None = None) -> None:
    """Raises InvalidArgumentError unless clip is [b, c, t >= 1, h, w]."""
    if clip.dim() != 5 or clip.shape[2] < 1 or channels not in (None, clip.shape[1]):
        raise InvalidArgumentError(
            f"[{where}.forward] wrong shape of the clip: got {list(clip.shape)}, expected "
            f"[b, {'c' if channels is None else channels}, t, h, w] with t at least 1. "
            "Permute the clip to this order."
        )


def check_frame(where: str, frame: Tensor, state: LayerState) -> None:
    """Raises InvalidArgumentError unless frame has the batch and size the state was made for."""
    b, c, _, _, _ = state.ring.shape
    expected = (b, c, state.size.shape[2], state.size.shape[3])
    if tuple(frame.shape) != expected:
        raise InvalidArgumentError(
            f"[{where}.step] wrong shape of the frame: got {list(frame.shape)}, expected "
            f"{list(expected)}, for which the state was made. Call init_state for another batch or "
            "size."
        )


def push(ring: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
    """The frames a layer sees at this tick [b, c, d + 1, h, w], and the ring after it (a copy)."""
    seen = torch.cat([ring, frame.unsqueeze(2)], dim=2)
    return seen, seen[:, :, 1:].clone()


def hold(y: Tensor, state: LayerState, stride: int) -> tuple[Tensor, Tensor]:
    """(value, held): y where the layer is due at this tick, else the value held since then."""
    if stride == 1:
        return y, state.held
    due = (state.tick % stride == 0).reshape(-1, *[1] * (y.dim() - 1))
    y = torch.where(due, y, state.held)
    return y, y.clone()


def always_valid(state: LayerState) -> Tensor:
    """[b] bool: the newest tap of the layer is the present frame, so every output is real."""
    return torch.ones_like(state.tick, dtype=torch.bool)
