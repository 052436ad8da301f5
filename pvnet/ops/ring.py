"""A ring of frames as a plain tensor [d, b, c, h, w]: write at a tick, read some ticks later."""

from __future__ import annotations

import torch
from torch import Tensor

from pvnet import _core
from pvnet.ops import checks, reference
from pvnet.ops.library import register, register_no_grad

__all__ = ["ring_read", "ring_write"]


def ring_write(ring: Tensor, tick: int, x: Tensor) -> None:
    """Copy `x` into slot tick mod d of `ring`.

    Not differentiable: refused while grad mode is on and an argument requires grad; use
    `reference.ring_write_ref` for training.

    Args:
        ring: [d, b, c, h, w], any dtype; written in place.
        tick: from 0.
        x: [b, c, h, w], dtype and device of ring, any strides.

    Raises:
        InvalidArgumentError: shapes, dtypes or devices that do not fit, a negative tick, or an
            argument that requires grad.
    """
    checks.tensor("ring_write", "ring", ring, 5)
    checks.tensor("ring_write", "x", x, 4)
    torch.ops.pvnet.ring_write(ring, tick, x)


def ring_read(ring: Tensor, tick: int, delay: int) -> Tensor:
    """Return a copy of what was written `delay` ticks before `tick`; zeros before tick 0.

    Not differentiable: refused while grad mode is on and ring requires grad; use
    `reference.ring_read_ref` for training.

    Args:
        ring: [d, b, c, h, w], any dtype.
        tick: the newest tick that has been written, from 0.
        delay: in ticks, 0 ... d - 1.

    Returns:
        [b, c, h, w], contiguous, dtype of ring.

    Raises:
        InvalidArgumentError: a delay the ring does not reach back to, a negative tick, or a ring
            that requires grad.
    """
    checks.tensor("ring_read", "ring", ring, 5)
    out: Tensor = torch.ops.pvnet.ring_read(ring, tick, delay)
    return out


def _check_read(ring: Tensor, tick: int, delay: int) -> Tensor:
    where = "ring_read"
    checks.tensor(where, "ring", ring, 5)
    if tick < 0:
        checks.refuse(
            where,
            "negative tick",
            got=tick,
            expected="a tick index of at least 0",
            do="Count ticks from 0",
        )
    if not 0 <= delay < ring.shape[0]:
        checks.refuse(
            where,
            "the ring does not reach back that far",
            got=f"delay {delay}",
            expected=f"0 to {ring.shape[0] - 1}",
            do="Allocate delay + 1 slots",
        )
    return ring.new_empty(ring.shape[1:])


def _write_fake(ring: Tensor, tick: int, x: Tensor) -> None:
    checks.ring_and_frame("ring_write", ring, tick, x, name="x")


def _write_other(ring: Tensor, tick: int, x: Tensor) -> None:
    _write_fake(ring, tick, x)
    reference.ring_write_ref(ring, tick, x)


def _write_cpu(ring: Tensor, tick: int, x: Tensor) -> None:
    if ring.dtype != torch.float32:
        _write_other(ring, tick, x)
        return
    _write_fake(ring, tick, x)
    _core.ops.ring_write(ring, tick, x)


def _read_other(ring: Tensor, tick: int, delay: int) -> Tensor:
    _check_read(ring, tick, delay)
    return reference.ring_read_ref(ring, tick, delay).contiguous()


def _read_cpu(ring: Tensor, tick: int, delay: int) -> Tensor:
    if ring.dtype != torch.float32:
        return _read_other(ring, tick, delay)
    out = _check_read(ring, tick, delay)
    _core.ops.ring_read(ring, tick, delay, out)
    return out


# Copies: torch's own are as good as any on a device.
register("ring_write", cpu=_write_cpu, cuda=_write_other, other=_write_other, fake=_write_fake)
register("ring_read", cpu=_read_cpu, cuda=_read_other, other=_read_other, fake=_check_read)
register_no_grad("ring_write", cure="Train with pvnet.ops.reference.ring_write_ref")
register_no_grad("ring_read", cure="Train with pvnet.ops.reference.ring_read_ref")
