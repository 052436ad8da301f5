"""Evaluation through the runtime, tick by tick, and its metrics; no torch; docs/training.md."""

from __future__ import annotations

from pvnet.evaluate.emission import Protocol, skipping
from pvnet.evaluate.evaluation import evaluate
from pvnet.evaluate.metrics import difference

__all__ = ["Protocol", "difference", "evaluate", "skipping"]
