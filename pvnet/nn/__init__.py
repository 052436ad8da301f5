"""Networks and layers in torch: differentiable over a clip, and the same frame by frame."""

from __future__ import annotations

from pvnet.distribution import missing

try:
    import torch as _torch  # noqa: F401  # the first import that can fail
except ModuleNotFoundError as error:
    raise missing(error, "nn") from error

from pvnet.nn.conv import CausalConv3d
from pvnet.nn.from_torch import from_torch
from pvnet.nn.layer_state import LayerState, StreamingLayer
from pvnet.nn.network import Network
from pvnet.nn.network_state import NetworkState
from pvnet.nn.pool import CausalAvgPool3d, CausalMaxPool3d, GlobalPool
from pvnet.nn.timing import Delay, Normalize

__all__ = [
    "CausalAvgPool3d",
    "CausalConv3d",
    "CausalMaxPool3d",
    "Delay",
    "GlobalPool",
    "LayerState",
    "Network",
    "NetworkState",
    "Normalize",
    "StreamingLayer",
    "from_torch",
]
