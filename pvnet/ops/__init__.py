"""Torch operations of pvnet: stateless, with their state (a ring) as an explicit argument.

Each operation exists four times: of a whole clip (`causal_conv3d`), of one tick
(`causal_conv3d_step`), and both in plain torch (`reference.causal_conv3d_ref`, `..._step_ref`).
They are registered as `torch.ops.pvnet.*` and work under `torch.compile(fullgraph=True)` and
`torch.export`. Importing this package imports torch.
"""

from __future__ import annotations

from pvnet.distribution import missing

try:
    import torch as _torch  # noqa: F401  # the first import that can fail
except ModuleNotFoundError as error:
    raise missing(error, "ops") from error

from pvnet.ops import reference
from pvnet.ops.causal_conv import causal_conv3d, causal_conv3d_step
from pvnet.ops.pool import (
    causal_avg_pool3d,
    causal_avg_pool3d_step,
    causal_max_pool3d,
    causal_max_pool3d_step,
)
from pvnet.ops.ring import ring_read, ring_write

__all__ = [
    "causal_avg_pool3d",
    "causal_avg_pool3d_step",
    "causal_conv3d",
    "causal_conv3d_step",
    "causal_max_pool3d",
    "causal_max_pool3d_step",
    "reference",
    "ring_read",
    "ring_write",
]
