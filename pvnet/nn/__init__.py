"""Networks and layers in torch: differentiable over a clip, and the same frame by frame."""

from __future__ import annotations

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
