"""Looks at held-out clips during a run: which weights were best, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pvnet.errors import InvalidArgumentError
from pvnet.train.config_sections import RunConfig

Batch = Mapping[str, Tensor]


class Validation:
    """What the looks of a run have found.

    Args:
        config: how often to look.

    Attributes:
        best: the smallest loss, infinite before the first look.
        best_step: steps that had been made at that look.
        stale: looks since then.
        first: the loss of the first look, None before it.
    """

    def __init__(self, config: RunConfig) -> None:
        self._every = config.validate_every
        self.best, self.best_step, self.stale = math.inf, -1, 0
        self.first: float | None = None

    def is_due(self, step: int, *, last: bool) -> bool:
        """Whether to look after `step` steps."""
        return self._every > 0 and (last or step % self._every == 0)

    def add(self, step: int, loss: float) -> bool:
        """Keeps the result of a look after `step` steps; whether it is the best."""
        self.first = loss if self.first is None else self.first
        better = loss < self.best
        if better:
            self.best, self.best_step = loss, step
        self.stale = 0 if better else self.stale + 1
        return better

    def is_stopped(self, patience: int) -> bool:
        """Whether so many looks have brought nothing."""
        return patience > 0 and self.stale >= patience

    def document(self) -> dict[str, Any]:
        """For a checkpoint; infinity is None."""
        best = self.best if math.isfinite(self.best) else None
        kept = {"best": best, "best_step": self.best_step, "stale": self.stale}
        return {**kept, "first": self.first}

    def restore(self, document: Mapping[str, Any]) -> None:
        """Puts back what `document` gave; {} is that of a run without a look."""
        best = document.get("best")
        self.best = math.inf if best is None else float(best)
        self.best_step = int(document.get("best_step", -1))
        self.stale = int(document.get("stale", 0))
        self.first = document.get("first")


def mean_terms(
    net: nn.Module, objective: Callable[[Batch], Mapping[str, Tensor]], batches: Iterable[Batch]
) -> dict[str, float]:
    """The terms of the loss over batches, each row with the same weight, in evaluation mode.

    Args:
        net: is left in the modes that it was in.
        objective: calls it.
        batches: of held-out clips.

    Raises:
        InvalidArgumentError: there is no batch.
    """
    modes = [(m, m.training) for m in net.modules()]
    net.eval()
    sums: dict[str, float] = {}
    rows = 0
    try:
        with torch.no_grad():
            for batch in batches:
                b = int(batch["frames"].shape[0])
                rows += b
                for name, value in objective(batch).items():
                    sums[name] = sums.get(name, 0.0) + b * float(value)
    finally:
        for module, training in modes:
            module.training = training
    if not rows:
        raise InvalidArgumentError(
            "[train] there is nothing to validate on: got 0 held-out clips, expected at least 1. "
            "Name held-out data, or set run.validate_every=0."
        )
    return {name: value / rows for name, value in sums.items()}
