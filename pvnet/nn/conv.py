"""CausalConv3d: nn.Conv3d that never looks ahead and can run frame by frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvnet.errors import InvalidArgumentError
from pvnet.nn.layer_state import (
    LayerState,
    always_valid,
    check_clip,
    check_frame,
    hold,
    new_state,
    push,
)

Size3 = int | tuple[int, int, int]


def triple(value: Size3) -> tuple[int, int, int]:
    """A size for (time, height, width) from one or three numbers."""
    return (value, value, value) if isinstance(value, int) else (value[0], value[1], value[2])


class CausalConv3d(nn.Conv3d):
    """3D convolution, padded in time on the past side only.

    forward(clip) = F.conv3d(F.pad(clip, (kt - 1) * dilation frames of zeros before)): output j is
    fired at tick j * stride and depends on no later frame. Takes the state dict of nn.Conv3d.

    Args:
        in_channels: c of the clip.
        out_channels: c of the result.
        kernel_size: (time, height, width).
        stride: (time, height, width).
        padding: (height, width), both sides; or three numbers, of which the first must be 0.
        dilation: (time, height, width).
        groups: of channels.
        bias: whether to add one.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        InvalidArgumentError: padding in time.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size3,
        *,
        stride: Size3 = 1,
        padding: int | tuple[int, int] | tuple[int, int, int] = 0,
        dilation: Size3 = 1,
        groups: int = 1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spatial = (padding, padding) if isinstance(padding, int) else tuple(padding)
        if len(spatial) == 3:
            if spatial[0] != 0:
                raise InvalidArgumentError(
                    f"[CausalConv3d] padding in time: got {spatial[0]}, expected 0, since a causal "
                    "layer pads the past itself. Give (height, width) only."
                )
            spatial = spatial[1:]
        ph, pw = spatial
        super().__init__(
            in_channels,
            out_channels,
            triple(kernel_size),
            stride=triple(stride),
            padding=(0, ph, pw),
            dilation=triple(dilation),
            groups=groups,
            bias=bias,
            device=device,
            dtype=dtype,
        )

    @property
    def past(self) -> int:
        """Frames before the present one that an output depends on."""
        return (self.kernel_size[0] - 1) * self.dilation[0]

    def forward(self, clip: Tensor) -> Tensor:
        """[b, c, t, h, w] -> [b, out, ceil(t / stride), h', w']."""
        check_clip("CausalConv3d", clip, self.in_channels)
        padded = F.pad(clip, (0, 0, 0, 0, self.past, 0)) if self.past else clip
        return self._conv(padded, self.stride[0], self.dilation[0])

    def init_state(self, batch: int, height: int, width: int) -> LayerState:
        """The state before the first frame of `batch` videos of this size."""
        out = [self.out_channels]
        for i, size in ((1, height), (2, width)):
            k = self.dilation[i] * (self.kernel_size[i] - 1) + 1
            out.append((size + 2 * int(self.padding[i]) - k) // self.stride[i] + 1)
        return new_state(
            batch,
            self.in_channels,
            height,
            width,
            depth=self.past,
            held=tuple(out) if self.stride[0] > 1 else (0,),
            dtype=self.weight.dtype,
            device=self.weight.device,
        )

    def step(self, frame: Tensor, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
        """One frame [b, c, h, w] -> (y [b, out, h', w'], valid [b] bool, the new state).

        With a temporal stride s it fires at ticks 0, s, 2s, ... and y is held in between.

        Raises:
            InvalidArgumentError: a frame of another batch or size than the state was made for.
        """
        check_frame("CausalConv3d", frame, state)
        seen, ring = push(state.ring, frame)
        y = self._conv(seen[:, :, :: self.dilation[0]], 1, 1).squeeze(2)
        y, held = hold(y, state, self.stride[0])
        return y, always_valid(state), LayerState(ring, held, state.tick + 1, state.size)

    def _conv(self, x: Tensor, stride: int, dilation: int) -> Tensor:
        return F.conv3d(
            x,
            self.weight,
            self.bias,
            stride=(stride, *self.stride[1:]),
            padding=(0, int(self.padding[1]), int(self.padding[2])),
            dilation=(dilation, *self.dilation[1:]),
            groups=self.groups,
        )
