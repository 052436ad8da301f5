"""Clips for training and evaluation: Kinetics, own folders, J-HMDB, rendered figures.

`open_dataset("jhmdb:FOLDER")` gives a `Dataset`; `loader(dataset, ...)` gives its batches.
Readers and indices need numpy and PyAV only; torch is imported when `loader` is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pvnet.distribution import load

from .augment import Augment
from .clips import Clip, Dataset, Skipped
from .specs import open_dataset

if TYPE_CHECKING:
    from .batches import Batch, loader

__all__ = ["Augment", "Batch", "Clip", "Dataset", "Skipped", "loader", "open_dataset"]


def __getattr__(name: str) -> Any:
    """`loader` and `Batch` on first use, because they import torch."""
    if name in ("loader", "Batch"):
        return getattr(load("pvnet.data.batches", f"data.{name}"), name)
    raise AttributeError(f"module 'pvnet.data' has no attribute {name!r}")
