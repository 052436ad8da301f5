"""Which firings of a node another one reads, over a whole clip, as shifts instead of indices.

Firing j of a node (period p_n, origin o_n) happens at tick `t = o_n + j * p_n`. Over an edge of
delay d it reads firing `J = floor((t - d - o_m) / p_m)` of its source. With `e = gcd(p_n, p_m)`,
`r = p_n / e`, `q = p_m / e` and `a = floor((o_n - d - o_m) / e)` this is
`J = floor((a + j * r) / q)`: repeat every source firing q times, start at `a`, take every r-th one.
Taps that are g firings apart are g * q apart there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def count_firings(period: int, origin: int, ticks: int) -> int:
    """Number of firings of the clock (period, origin) in ticks 0 .. ticks - 1."""
    return max(0, -(-(ticks - origin) // period))


def is_due(period: int, origin: int, tick: int) -> bool:
    """Whether the clock (period, origin) fires at `tick`."""
    return tick >= origin and (tick - origin) % period == 0


@dataclass(frozen=True)
class Read:
    """One edge as seen by its reader.

    Attributes:
        source: name of the node that is read.
        period: of the source, in ticks.
        origin: of the source, in ticks.
        delay: of the edge, in ticks.
        taps: number of firings read, the newest one included.
        dilation: firings between two taps.
    """

    source: str
    period: int
    origin: int
    delay: int
    taps: int = 1
    dilation: int = 1

    def firing_at(self, tick: int) -> int:
        """Index of the newest source firing read at `tick`; negative: nothing has fired yet."""
        return (tick - self.delay - self.origin) // self.period

    @property
    def ring_depth(self) -> int:
        """Firings of the source that must be kept for this read."""
        return -(-self.delay // self.period) + (self.taps - 1) * self.dilation + 1


def window(
    x: Tensor, read: Read, *, period: int, origin: int, firings: int
) -> tuple[Tensor, int, int]:
    """The part of a source that a reader with clock (period, origin) needs, older than it padded.

    A temporal operation with `read.taps` taps, the returned stride and dilation, and no padding in
    time gives exactly `firings` outputs. No copy is made where the clocks are aligned.

    Args:
        x: [b, c, J, h, w], the firings of the source.
        read: the edge.
        period: of the reader, in ticks.
        origin: of the reader, in ticks.
        firings: number of firings of the reader, at least 1.

    Returns:
        ([b, c, L, h, w], stride in time, dilation in time).
    """
    common = math.gcd(period, read.period)
    repeat, stride = read.period // common, period // common
    start = (origin - read.delay - read.origin) // common
    dilation = read.dilation * repeat
    first = start - (read.taps - 1) * dilation
    last = start + (firings - 1) * stride
    if repeat > 1:
        x = x.repeat_interleave(repeat, dim=2)
    missing = min(max(0, -first), last - first + 1)
    lo, hi = max(first, 0), max(last + 1, 0)
    if lo > 0 or hi < x.shape[2]:
        x = x[:, :, lo:hi]
    if missing:
        x = F.pad(x, (0, 0, 0, 0, missing, 0)) if hi > lo else zeros_like_time(x, missing)
    return x, stride, dilation


def zeros_like_time(x: Tensor, firings: int) -> Tensor:
    """Zeros [b, c, firings, h, w] with the other sizes, dtype and device of x."""
    b, c, _, h, w = x.shape
    return torch.zeros((b, c, firings, h, w), dtype=x.dtype, device=x.device)


def held(x: Tensor, *, period: int, origin: int, ticks: int) -> Tensor:
    """The value of a node at every tick: held between firings, 0 before the first one.

    Args:
        x: [b, c, J, h, w], the firings of the node in `ticks` ticks.
        period: of the node, in ticks.
        origin: of the node, in ticks.
        ticks: number of ticks.

    Returns:
        [b, c, ticks, h, w]; x itself where the node fires at every tick.
    """
    read = Read(source="", period=period, origin=origin, delay=0)
    return window(x, read, period=1, origin=0, firings=ticks)[0]
