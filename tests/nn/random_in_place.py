"""Random modules that write in place through all the names that a map has."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS, SIZE = 4, 5
Step = Callable[["RandomInPlace", list[Tensor]], Any]


def _maps(names: list[Tensor]) -> list[Tensor]:
    return [x for x in names if x.shape[1:] == (CHANNELS, SIZE, SIZE)]


class RandomInPlace(nn.Module):
    """Some ten steps over a growing list of names; several of them are returned."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = random.Random(seed)
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.relu, self.silu = nn.ReLU(inplace=True), nn.SiLU(inplace=True)
        self.dropout = nn.Dropout(inplace=True)
        # Whole maps mostly: what changes a part of one is refused.
        kinds = [*(8 * (MAKES + WRITES)), *(6 * ALIASES), *PARTS]
        self.steps = [(rng.choice(kinds), rng.random(), rng.random()) for _ in range(10)]
        self.returned = [rng.random() for _ in range(rng.choice((1, 2, 3)))]

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        names = [frame, self.conv(frame)]
        for step, first, second in self.steps:
            a, b = (names[int(at * len(names))] for at in (first, second))
            made = step(self, a, b)
            names += [made] if isinstance(made, Tensor) else []
        return tuple(names[int(at * len(names))] for at in self.returned)


def _both(f: Callable[[Any, Tensor, Tensor], Any]) -> Callable[[Any, Tensor, Tensor], Any]:
    """A step for two maps of one shape; nothing otherwise."""
    return lambda m, a, b: f(m, a, b) if a.shape == b.shape else None


def _map(f: Callable[[Any, Tensor], Any]) -> Callable[[Any, Tensor, Tensor], Any]:
    """A step for a whole map; nothing otherwise."""
    return lambda m, a, b: f(m, a) if a.shape[1:] == (CHANNELS, SIZE, SIZE) else None


def _add_into(m: Any, a: Tensor, b: Tensor) -> Tensor:
    a += b
    return a


def _multiply_into(m: Any, a: Tensor, b: Tensor) -> Tensor:
    a *= b
    return a


MAKES = [
    _map(lambda m, a: m.conv(a)),
    _map(lambda m, a: m.norm(a)),
    lambda m, a, b: F.relu(a),
    lambda m, a, b: torch.sigmoid(a),
    _both(lambda m, a, b: a + b),
    _both(lambda m, a, b: a * b),
    _map(lambda m, a: F.max_pool2d(a, 3, 1, 1)),
    lambda m, a, b: a.clone(),
]
WRITES = [
    lambda m, a, b: F.relu_(a),
    lambda m, a, b: F.relu(a, inplace=True),
    lambda m, a, b: F.silu(a, inplace=True),
    lambda m, a, b: a.sigmoid_(),
    lambda m, a, b: m.relu(a),
    lambda m, a, b: m.silu(a),
    lambda m, a, b: m.dropout(a),
    lambda m, a, b: F.dropout(a, training=m.training, inplace=True),
    _both(_add_into),
    _both(_multiply_into),
    _both(lambda m, a, b: a.add_(b)),
    _both(lambda m, a, b: a.mul_(b)),
    _both(lambda m, a, b: a.copy_(b)),
    _both(lambda m, a, b: torch.add(a, b, out=a)),
    _both(lambda m, a, b: torch.mul(a, b, out=b)),
    lambda m, a, b: torch.sigmoid(b, out=b),
]
ALIASES = [
    lambda m, a, b: a.view(a.shape[0], -1),
    lambda m, a, b: a.flatten(1),
    lambda m, a, b: a.reshape(a.shape[0], -1),
    lambda m, a, b: a.view(a.shape[0], CHANNELS, SIZE, SIZE) if a.numel() == 100 else None,
    lambda m, a, b: a.view_as(a),
    lambda m, a, b: a.detach(),
    lambda m, a, b: a.contiguous(),
    lambda m, a, b: a[:],
    lambda m, a, b: a[:, 0 : a.shape[1]],
    lambda m, a, b: a.expand_as(a),
]
PARTS = [
    lambda m, a, b: a.unsqueeze(-1).squeeze(-1),
    lambda m, a, b: a.transpose(0, 1).transpose(0, 1),
    lambda m, a, b: a[:, :2],
    lambda m, a, b: a.chunk(2, 1)[1],
    lambda m, a, b: F.relu_(a[:, 1:]),
    lambda m, a, b: a.select(1, 0).mul_(b.select(1, 0)) if a.shape == b.shape else None,
    _map(lambda m, a: a.transpose(1, 2)),
    lambda m, a, b: torch.cat([a, b], 1) if a.shape == b.shape else None,
]
