"""Argument checks shared by the kernels and fake kernels of pvnet.ops; no data is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor

from pvnet.errors import InvalidArgumentError

Sizes = int | Sequence[int]
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
MAX_EXTENT = 1 << 15  # of kernels, strides, dilations and paddings, as in the core


def refuse(where: str, what: str, *, got: object, expected: object, do: str) -> NoReturn:
    """Raise InvalidArgumentError in the form of all pvnet messages."""
    raise InvalidArgumentError(f"[{where}] {what}: got {got}, expected {expected}. {do}.")


def sizes(where: str, name: str, value: Sizes, count: int, *, minimum: int = 1) -> list[int]:
    """Return `value` as a list of `count` integers; one integer is repeated."""
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count:
        refuse(
            where,
            f"{name} has the wrong length",
            got=values,
            expected=f"one integer or {count} of them",
            do=f"Pass {name} as (time, height, width)"
            if count == 3
            else f"Pass {name} as (height, width)",
        )
    for v in values:
        if not isinstance(v, int) or isinstance(v, bool) or not minimum <= v <= MAX_EXTENT:
            refuse(
                where,
                f"{name} is out of range",
                got=values,
                expected=f"integers from {minimum} to {MAX_EXTENT}",
                do=f"Change {name}",
            )
    return values


def tensor(where: str, name: str, value: object, rank: int) -> None:
    """Refuse what is no tensor of this rank or has an empty axis."""
    if not isinstance(value, Tensor):
        refuse(
            where,
            f"{name} is not a torch tensor",
            got=type(value).__name__,
            expected="torch.Tensor",
            do="Convert it, e.g. with torch.from_numpy",
        )
    if value.dim() != rank:
        refuse(
            where,
            f"{name} has the wrong number of axes",
            got=f"shape {list(value.shape)}",
            expected=f"rank {rank}",
            do="Add or remove axes, e.g. with tensor[None]",
        )
    if any(s == 0 for s in value.shape):
        refuse(
            where,
            f"{name} has an empty axis",
            got=f"shape {list(value.shape)}",
            expected="at least 1 along every axis",
            do="Leave out the call when there is nothing to compute",
        )


def floating(where: str, name: str, value: Tensor) -> None:
    """Refuse tensors that are not floating point."""
    if value.dtype not in FLOATS:
        refuse(
            where,
            f"wrong dtype of {name}",
            got=value.dtype,
            expected="float32 (or float64, float16, bfloat16, which run as plain torch)",
            do=f"Convert {name}, e.g. with {name}.float()",
        )


def alike(where: str, name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Refuse a dtype or device of `value` that differs from that of `other`."""
    if value.dtype != other.dtype:
        refuse(
            where,
            f"{name} and {other_name} differ in dtype",
            got=value.dtype,
            expected=other.dtype,
            do=f"Convert {name} to the dtype of {other_name}",
        )
    if value.device != other.device:
        refuse(
            where,
            f"{name} and {other_name} are on different devices",
            got=f"device {value.device}",
            expected=f"device {other.device}",
            do=f"Move {name} to the device of {other_name}",
        )


def shape(where: str, name: str, value: Tensor, expected: Sequence[int], do: str) -> None:
    """Refuse any other shape than `expected`."""
    if list(value.shape) != list(expected):
        refuse(
            where,
            f"wrong shape of {name}",
            got=list(value.shape),
            expected=list(expected),
            do=do,
        )


def ring_and_frame(
    where: str, ring: Tensor, tick: int, frame: Tensor, *, name: str = "frame"
) -> None:
    """Check ring [d, b, c, h, w], frame [b, c, h, w] and a tick index of at least 0."""
    tensor(where, "ring", ring, 5)
    tensor(where, name, frame, 4)
    alike(where, name, frame, "ring", ring)
    shape(where, name, frame, ring.shape[1:], "Make the ring with the shape (depth, *frame.shape)")
    if tick < 0:
        refuse(
            where,
            "negative tick",
            got=tick,
            expected="a tick index of at least 0",
            do="Count ticks from 0",
        )


def ring_depth(where: str, ring: Tensor, kernel: int, dilation: int) -> None:
    """Refuse rings with fewer than (kernel - 1) * dilation + 1 slots."""
    needed = (kernel - 1) * dilation + 1
    if ring.shape[0] < needed:
        refuse(
            where,
            "the ring is too short",
            got=f"{ring.shape[0]} slots",
            expected=f"at least {needed} slots",
            do="Allocate (kernel_t - 1) * dilation_t + 1 slots",
        )


def extent(
    where: str, axis: str, size: int, kernel: int, stride: int, padding: int, dilation: int
) -> int:
    """Output size of one spatial axis; refuses windows larger than the padded input."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0:
        refuse(
            where,
            f"the window does not fit into the {axis}",
            got=f"{axis} {size} with padding {padding}",
            expected=f"at least {dilation * (kernel - 1) + 1} pixels with padding",
            do="Use a smaller kernel or dilation, or more padding",
        )
    return room // stride + 1


def conv(
    where: str,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    channels: int,
    groups: int,
) -> None:
    """Check weight [out, c / groups, kt, kh, kw] and bias [out] against an x of `channels`."""
    floating(where, "the input", x)
    tensor(where, "weight", weight, 5)
    alike(where, "weight", weight, "the input", x)
    if groups < 1 or channels % groups != 0 or weight.shape[0] % groups != 0:
        refuse(
            where,
            "groups do not divide the channels",
            got=f"groups={groups}",
            expected=f"a divisor of {channels} input and {weight.shape[0]} output channels",
            do="Change groups",
        )
    shape(
        where,
        "weight",
        weight,
        [weight.shape[0], channels // groups, *weight.shape[2:]],
        "The second axis of weight is the number of input channels divided by groups",
    )
    if bias is not None:
        tensor(where, "bias", bias, 1)
        alike(where, "bias", bias, "the input", x)
        shape(where, "bias", bias, [weight.shape[0]], "Pass one bias per output channel, or None")


def pool_padding(where: str, kernel: Sequence[int], padding: Sequence[int]) -> None:
    """Refuse paddings above half the kernel: such windows could lie outside the map altogether."""
    for k, p in zip(kernel[1:], padding):
        if 2 * p > k:
            refuse(
                where,
                "padding is too large",
                got=f"padding {p} for a kernel of {k}",
                expected=f"at most {k // 2}",
                do="Use a larger kernel or less padding",
            )
