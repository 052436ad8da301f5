"""The networks with the temporal convolutions of continual-inference, which keep their own past.

Its containers align branches by looking ahead; ours are joined by hand instead, so that no layer
waits. A padding of k - 1 frames makes a step causal.
"""

from __future__ import annotations

from typing import Any

import continual
from torch import Tensor, nn

from peer.torch_net import Nodes, StepNet, Weights, act


class ContinualNet(StepNet):
    """As StepNet; the past that goes in and out is that of pools alone."""

    def __init__(self, nodes: Nodes, outputs: list[str], weights: Weights) -> None:
        super().__init__(nodes, outputs, weights)
        self.steps = nn.ModuleDict()
        for node in nodes:
            if not _is_temporal(node):
                continue
            a, name = node["attrs"], node["name"]
            weight = weights[f"{name}.weight"]
            layer = continual.Conv3d(
                weight.shape[1], weight.shape[0], tuple(a["kernel"]), tuple(a["stride"]),
                (a["kernel"][0] - 1, *a["padding"]),
            )  # fmt: skip
            kept = {"weight": weight, "bias": weights[f"{name}.bias"]}
            for key, value in kept.items():
                getattr(layer, key).data.copy_(getattr(layer, key).data.new_tensor(value))
            self.steps[str(self.places[name])] = layer

    @staticmethod
    def remembered(node: dict[str, Any]) -> tuple[str, int]:
        """A temporal convolution keeps its own past."""
        name, back = StepNet.remembered(node)
        return (name, 0) if _is_temporal(node) else (name, back)

    def forget(self) -> None:
        """No frame has been seen."""
        for layer in self.steps.values():
            layer.clean_state()

    def fire(
        self,
        node: dict[str, Any],
        xs: list[Tensor],
        before: dict[str, list[Tensor]],
        now: dict[str, Tensor],
    ) -> Tensor:
        if not _is_temporal(node):
            return super().fire(node, xs, before, now)
        layer = self.steps[str(self.places[node["name"]])]
        return act(layer.forward_step(xs[0]), node["attrs"])


def _is_temporal(node: dict[str, Any]) -> bool:
    return node["op"] == "conv3d" and node["attrs"]["kernel"][0] > 1
