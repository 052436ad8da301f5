"""Evaluation through the runtime, tick by tick, and its metrics; no torch; docs/training.md."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from pvnet.evaluate.emission import Protocol, frame_subsampling
from pvnet.evaluate.evaluation import evaluate
from pvnet.evaluate.metrics import difference

__all__ = ["Protocol", "difference", "evaluate", "frame_subsampling"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """`skipping`, the old name of `frame_subsampling`: for one release after 0.2."""
        if name != "skipping":
            raise AttributeError(f"module 'pvnet.evaluate' has no attribute {name!r}")
        warning = "pvnet.evaluate.skipping is called frame_subsampling now"
        warnings.warn(warning, FutureWarning, stacklevel=2)
        return frame_subsampling
