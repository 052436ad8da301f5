"""The networks in plain torch, from a description: what is exported, run eagerly and compiled.

Batch norm is folded. A frame a call, the past comes in and goes out: `StepNet` has no state of its
own. The taps of a temporal convolution lie side by side as channels, since engines have their fast
kernels for 2-D. `WindowNet` computes a whole window of frames by 3-D layers. Shares no code with
pvnet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Nodes = list[dict[str, Any]]
Weights = dict[str, np.ndarray]


class Layers(nn.Module):
    """Weights of a description, and the operations that need no past.

    Args:
        nodes: name, op, inputs, attrs and shape of each, in an order in which they can run.
        outputs: names of nodes.
        weights: folded, `<node>.weight` and `<node>.bias`.
    """

    def __init__(self, nodes: Nodes, outputs: list[str], weights: Weights) -> None:
        super().__init__()
        self.nodes, self.outputs = nodes, outputs
        self.by_name = {node["name"]: node for node in nodes}
        self.places = {node["name"]: number for number, node in enumerate(nodes)}
        for name, number in self.places.items():
            if f"{name}.weight" in weights:
                weight = torch.from_numpy(np.array(weights[f"{name}.weight"]))
                bias = torch.from_numpy(np.array(weights[f"{name}.bias"]))
                self.register_buffer(f"weight{number}", self.laid_out(weight))
                self.register_buffer(f"bias{number}", bias)

    def laid_out(self, weight: Tensor) -> Tensor:
        """As this network's kernels take a weight."""
        return weight

    def layer(self, node: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Weight and bias."""
        number = self.places[node["name"]]
        return getattr(self, f"weight{number}"), getattr(self, f"bias{number}")

    def common(self, node: dict[str, Any], xs: list[Tensor]) -> Tensor:
        """What is the same for a frame and a clip."""
        op, a = node["op"], node["attrs"]
        if op == "linear":
            weight, bias = self.layer(node)
            flat = F.linear(xs[0].flatten(1), weight.flatten(1), bias)
            return act(flat.reshape(*flat.shape, *(1,) * (xs[0].dim() - 2)), a)
        if op == "concat":
            return torch.cat(xs, dim=1)
        if op == "add":
            return act(sum(xs[1:], xs[0]), a)
        if op == "act":
            return act(xs[0], a)
        raise NotImplementedError(f"{op} is not part of the peers' networks")


class StepNet(Layers):
    """A frame a call: `net(frame, *past)` -> outputs, then what is to be kept of this frame.

    `kept` has for each of these the name of its node, its shape and how many frames back it is
    read. The past is theirs in that order, of each the newest first. `now` names those that come
    out: the frame itself, which the caller has, does not.
    """

    def __init__(self, nodes: Nodes, outputs: list[str], weights: Weights) -> None:
        super().__init__(nodes, outputs, weights)
        depth: dict[str, int] = {}
        for node in nodes:
            name, reach = self.remembered(node)
            depth[name] = max(depth.get(name, 0), reach)
        shapes = {name: self.by_name[name.partition("@")[0]]["shape"] for name in depth}
        self.kept = [(name, shapes[name], back) for name, back in depth.items() if back]
        self.now = [name for name, _, _ in self.kept if name != nodes[0]["name"]]

    @staticmethod
    def remembered(node: dict[str, Any]) -> tuple[str, int]:
        """What must be kept for a node, and how many frames back: its input, or its own part.

        A pool over time keeps what it pooled of each frame: that is smaller.
        """
        a, part = node["attrs"], f"{node['name']}@part"
        if node["op"] == "conv3d":
            return node["inputs"][0], a["kernel"][0] - 1
        if node["op"] == "max_pool":
            return part, a["kernel"][0] - 1
        return part, a["window"] - 1 if node["op"] == "global_pool" else 0

    def laid_out(self, weight: Tensor) -> Tensor:
        """[out, c, kt, kh, kw] -> [out, kt * c, kh, kw]."""
        return weight.transpose(1, 2).flatten(1, 2) if weight.dim() == 5 else weight

    def zeros(self) -> list[Tensor]:
        """The past before the first frame."""
        return [torch.zeros(1, *shape) for _, shape, back in self.kept for _ in range(back)]

    def forward(self, frame: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """frame: [1, c, h, w], normalised."""
        rest = list(past)
        before = {name: [rest.pop(0) for _ in range(back)] for name, _, back in self.kept}
        values: dict[str, Tensor] = {}
        now: dict[str, Tensor] = {}
        for node in self.nodes:
            name = node["name"]
            if node["op"] == "input":
                values[name] = now[name] = frame
                continue
            xs = [values[other] for other in node["inputs"]]
            values[name] = self.fire(node, xs, before, now)
            now[name] = values[name]
        return tuple(values[o] for o in self.outputs) + tuple(now[name] for name in self.now)

    def fire(
        self,
        node: dict[str, Any],
        xs: list[Tensor],
        before: dict[str, list[Tensor]],
        now: dict[str, Tensor],
    ) -> Tensor:
        """The value of a node; what it keeps of the frame goes into `now`."""
        op, a, x = node["op"], node["attrs"], xs[0]
        if op == "conv3d":
            weight, bias = self.layer(node)
            taps = [*before.get(node["inputs"][0], [])[: a["kernel"][0] - 1][::-1], x]
            x = taps[0] if len(taps) == 1 else torch.cat(taps, dim=1)
            x, padding = padded(x, a, 0.0)
            y = F.conv2d(x, weight, bias, a["stride"][1:], padding, a["dilation"][1:], a["groups"])
            return act(y, a)
        if op == "max_pool":
            x, padding = padded(x, a, -torch.inf)
            own = f"{node['name']}@part"
            y = now[own] = F.max_pool2d(x, a["kernel"][1:], a["stride"][1:], padding)
            for older in before.get(own, []):
                y = torch.maximum(y, older)
            return y
        if op == "avg_pool":
            return F.avg_pool2d(
                x, a["kernel"][1:], a["stride"][1:], a["padding"],
                count_include_pad=a.get("count_include_pad", True),
            )  # fmt: skip
        if op == "global_pool":
            own = f"{node['name']}@part"
            y = now[own] = x.mean(dim=(2, 3), keepdim=True)
            for older in before.get(own, []):
                y = y + older
            return y / a["window"] if a["window"] > 1 else y
        if op == "upsample":
            return resized(x, a)
        return self.common(node, xs)


class WindowNet(Layers):
    """The newest output of a whole window: `net(clip)`, the clip [1, c, t, h, w], normalised."""

    def forward(self, clip: Tensor) -> tuple[Tensor, ...]:
        """Every layer for every frame of the window, as if nothing had been before it."""
        values: dict[str, Tensor] = {}
        for node in self.nodes:
            xs = [values[other] for other in node["inputs"]]
            values[node["name"]] = clip if node["op"] == "input" else self.fire(node, xs)
        return tuple(values[name][:, :, -1] for name in self.outputs)

    def fire(self, node: dict[str, Any], xs: list[Tensor]) -> Tensor:
        """The value of a node, at all of its firings."""
        op, a, x = node["op"], node["attrs"], xs[0]
        if op == "conv3d":
            weight, bias = self.layer(node)
            x = F.pad(x, (0, 0, 0, 0, a["kernel"][0] - 1, 0)) if a["kernel"][0] > 1 else x
            return act(F.conv3d(x, weight, bias, a["stride"], (0, *a["padding"])), a)
        if op == "max_pool":
            x = F.pad(x, (0, 0, 0, 0, a["kernel"][0] - 1, 0)) if a["kernel"][0] > 1 else x
            return F.max_pool3d(x, a["kernel"], a["stride"], (0, *a["padding"]))
        if op == "global_pool":
            return x[:, :, -a["window"] :].mean(dim=(2, 3, 4), keepdim=True)
        return self.common(node, xs)


def padded(x: Tensor, a: dict[str, Any], value: float) -> tuple[Tensor, list[int]]:
    """The map, and the padding that is left to the operation: sides may differ."""
    top, left = a["padding"]
    bottom, right = a.get("padding_end", a["padding"])
    if (top, left) == (bottom, right):
        return x, [top, left]
    return F.pad(x, (left, right, top, bottom), value=value), [0, 0]


def resized(x: Tensor, a: dict[str, Any]) -> Tensor:
    """Nearest or bilinear."""
    options = {} if a["mode"] == "nearest" else {"align_corners": a.get("align_corners", False)}
    return F.interpolate(x, size=tuple(a["size"]), mode=a["mode"], **options)


def act(x: Tensor, a: dict[str, Any]) -> Tensor:
    """The activation of a node."""
    name = a.get("act", "none")
    if name == "none":
        return x
    if name == "clamp":
        return torch.clamp(x, a["act_low"], a["act_high"])
    return {"relu": F.relu, "silu": F.silu, "sigmoid": torch.sigmoid}[name](x)
