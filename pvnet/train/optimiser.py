"""Optimiser, learning rate over steps, and EMA of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pvnet.train.config_sections import OptimiserConfig, ScheduleConfig


def make_optimiser(net: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """SGD (Nesterov) or AdamW; biases and norms, which have one dimension, do not decay."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if config.name == "sgd":
        return torch.optim.SGD(
            groups, lr=config.rate, momentum=config.momentum, nesterov=config.momentum > 0
        )
    # One call for all tensors: a small network has many, and they cost more than their numbers.
    return torch.optim.AdamW(groups, lr=config.rate, fused=True)


def rate_factor(config: ScheduleConfig, step: int, steps: float) -> float:
    """Factor on the learning rate at `step` of `steps`; nothing else decides it."""
    rise = min(1.0, (step + 1) / config.warm_up_steps) if config.warm_up_steps > 0 else 1.0
    if config.name == "cosine":
        return rise * max(config.floor, 0.5 + 0.5 * math.cos(math.pi * step / steps))
    if config.name == "step":
        passed = sum(step >= share * steps for share in config.milestones)
        return rise * config.factor**passed
    return rise


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """One learning rate for all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


class Ema:
    """EMA: exponential moving average of weights and batch norm statistics.

    The decay rises from 0.1 to `decay` over the first steps, so that early weights are forgotten.

    Args:
        net: whose state is averaged; read, never changed.
        decay: 0 .. 1.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {
            k: v.detach().clone() for k, v in net.state_dict().items()
        }

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """After step `step` (from 0) of the optimiser."""
        decay = min(self.decay, (1 + step) / (10 + step))
        means, values = [], []
        for key, value in net.state_dict().items():
            mean = self.values[key]
            if mean.is_floating_point():
                means.append(mean)
                values.append(value.detach())
            else:
                mean.copy_(value)
        torch._foreach_lerp_(means, values, 1.0 - decay)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Puts back what a checkpoint holds."""
        for key, mean in self.values.items():
            mean.copy_(values[key])
