"""The peers' network: plain torch, a frame a call, as one would write it for a live stream.

It works in channels_last and bfloat16, with batch norm folded. Its past lies in buffers of fixed
address, so that it can be captured. The taps of a temporal convolution lie side by side as
channels: cuDNN has its fast kernels for 2-D. Shares no code with pvnet, and is described by
peer_nets.json, so that it can be compiled before pvnet is built.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FILE = Path(__file__).with_name("peer_nets.json")
Layer = tuple[Tensor, Tensor | None]


def description(name: str) -> list[dict[str, Any]]:
    """Nodes of a full-size model in order: name, op, inputs, attrs, shape [c, h, w]."""
    nodes: list[dict[str, Any]] = json.loads(FILE.read_text())[name]
    return nodes


class PeerNet(nn.Module):
    """Ticks a network: `net(frame)` -> its output.

    Args:
        nodes: as `description` gives them, in sequential wiring and without slower clocks.
        layers: weight [out, c, kt, kh, kw] or [out, c] and bias by node, batch norm folded; None
            = random ones.
    """

    def __init__(
        self,
        nodes: list[dict[str, Any]],
        layers: dict[str, Layer] | None,
        *,
        device: str,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.nodes = nodes
        self.index = {node["name"]: number for number, node in enumerate(nodes)}
        options = {"device": device, "dtype": dtype}
        for number, node in enumerate(nodes):
            if node["op"] in ("conv3d", "linear"):
                weight, bias = layers[node["name"]] if layers else self._random(node)
                self.register_buffer(
                    f"weight{number}",
                    _flat(weight)
                    .to(**options)
                    .contiguous(
                        memory_format=torch.channels_last
                        if weight.dim() == 5
                        else torch.contiguous_format
                    ),
                )
                self.register_buffer(f"bias{number}", None if bias is None else bias.to(**options))
            past = _past(node)
            if past:
                c, h, w = self._of(node, 0)["shape"] if node["op"] == "conv3d" else node["shape"]
                ring = torch.zeros(1, past * c, h, w, **options)
                self.register_buffer(
                    f"past{number}", ring.contiguous(memory_format=torch.channels_last)
                )

    def _of(self, node: dict[str, Any], number: int) -> dict[str, Any]:
        return self.nodes[self.index[node["inputs"][number]]]

    def _random(self, node: dict[str, Any]) -> Layer:
        c = self._of(node, 0)["shape"][0]
        shape = [node["attrs"]["out"], c, *node["attrs"].get("kernel", [])]
        scale = torch.tensor(shape[1:]).prod().item() ** -0.5
        return torch.randn(shape) * scale, torch.zeros(shape[0])

    def forward(self, frame: Tensor) -> Tensor:
        """frame: [1, 3, h, w], normalised; the output of the last node, [1, c, h, w]."""
        values: dict[str, Tensor] = {}
        for number, node in enumerate(self.nodes):
            xs = [values[name] for name in node["inputs"]]
            values[node["name"]] = frame if node["op"] == "input" else self._fire(number, node, xs)
        return values[self.nodes[-1]["name"]]

    def _fire(self, number: int, node: dict[str, Any], xs: list[Tensor]) -> Tensor:
        op, a, x = node["op"], node["attrs"], xs[0]
        if op == "conv3d":
            weight, bias = self._layer(number)
            x = self._with_past(number, x)
            return _act(F.conv2d(x, weight, bias, a["stride"][1:], a["padding"]), a["act"])
        if op == "linear":
            weight, bias = self._layer(number)
            return _act(F.linear(x.flatten(1), weight, bias)[..., None, None], a["act"])
        if op == "max_pool":
            x = F.max_pool2d(x, a["kernel"][1:], a["stride"][1:], a["padding"])
            return self._over_taps(number, x, torch.maximum)
        if op == "avg_pool":
            return F.avg_pool2d(x, a["kernel"][1:], a["stride"][1:], a["padding"])
        if op == "global_pool":
            x = x.mean(dim=(2, 3), keepdim=True)
            return self._over_taps(number, x, torch.add) / a["window"]
        if op == "concat":
            return torch.cat(xs, dim=1)
        if op == "upsample":
            return F.interpolate(x, size=a["size"], mode=a["mode"], align_corners=False)
        raise NotImplementedError(f"{op} is not part of the peers' networks")

    def _layer(self, number: int) -> Layer:
        return getattr(self, f"weight{number}"), getattr(self, f"bias{number}")

    def _with_past(self, number: int, x: Tensor) -> Tensor:
        """The newest firings side by side as channels, the oldest first."""
        past = getattr(self, f"past{number}", None)
        if past is None:
            return x
        together = torch.cat([past, x], dim=1)
        past.copy_(together[:, x.shape[1] :])
        return together

    def _over_taps(self, number: int, x: Tensor, join: Any) -> Tensor:
        """x with the same of the firings before it."""
        together = self._with_past(number, x)
        if together is x:
            return x
        parts = together.split(x.shape[1], dim=1)
        out = parts[0]
        for part in parts[1:]:
            out = join(out, part)
        return out


def _past(node: dict[str, Any]) -> int:
    """Firings before the newest that a node reads."""
    a = node["attrs"]
    if node["op"] == "global_pool":
        return int(a["window"]) - 1
    return int(a["kernel"][0]) - 1 if node["op"] in ("conv3d", "max_pool") else 0


def _flat(weight: Tensor) -> Tensor:
    """[out, c, kt, kh, kw] -> [out, kt * c, kh, kw]; [out, c] as it is."""
    if weight.dim() == 2:
        return weight
    return weight.transpose(1, 2).flatten(1, 2)


def _act(x: Tensor, act: str) -> Tensor:
    return F.relu(x) if act == "relu" else x
