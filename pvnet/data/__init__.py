"""Clips for training and evaluation: Kinetics, own folders, J-HMDB, rendered figures.

`open_dataset("jhmdb:FOLDER")` gives a `Dataset`; `loader(dataset, ...)` gives its batches.
Readers and indices need numpy and PyAV only; torch is imported when `loader` is first used.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from pvnet.data.batches.augment import Augment
from pvnet.data.clips import Clip, Dataset, LeftOut
from pvnet.data.specs import open_dataset
from pvnet.distribution import load

if TYPE_CHECKING:
    from pvnet.data.batches.loader import Batch, loader

__all__ = ["Augment", "Batch", "Clip", "Dataset", "LeftOut", "loader", "open_dataset"]


def __getattr__(name: str) -> Any:
    """`loader` and `Batch` on first use, because they import torch; old names."""
    if name in ("loader", "Batch"):
        return getattr(load("pvnet.data.batches.loader", f"data.{name}"), name)
    if name == "Skipped":  # for one release after 0.2
        warnings.warn("pvnet.data.Skipped is called LeftOut now", FutureWarning, stacklevel=2)
        return LeftOut
    raise AttributeError(f"module 'pvnet.data' has no attribute {name!r}")
