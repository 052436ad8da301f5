"""A plain torch reading of a TensorFlow.js graph of convolutions: what an import is held against.

It knows the operations of MoveNet up to its maps, and nothing of pvnet. Importable only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

HEADS = {
    "heatmaps": "kpt_heatmap_0",
    "center": "center_0",
    "regression": "kpt_regress_0",
    "offsets": "kpt_offset_0",
}
"""Output of pvnet's network -> scope of the convolution that gives it in the file."""


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The constants of a graph by name, float16 as float32; `path` is that of the .json.

    Raises:
        ValueError: the .bin has another length than the .json says.
    """
    document = json.loads(path.read_text())
    raw = path.with_suffix(".bin").read_bytes()
    at, weights = 0, {}
    for group in document["weightsManifest"]:
        for entry in group["weights"]:
            half = entry.get("quantization", {}).get("dtype") == "float16"
            dtype = np.dtype("<f2" if half else {"float32": "<f4", "int32": "<i4"}[entry["dtype"]])
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(raw, dtype, count, at).reshape(entry["shape"])
            at += count * dtype.itemsize
            weights[entry["name"]] = values.astype(np.float32)
    if at != len(raw):
        raise ValueError(f"{path.stem}.bin: got {len(raw)} bytes, expected {at}. Take both again.")
    return weights


def read_nodes(path: Path) -> list[dict[str, Any]]:
    """The operations of the graph in the order of the file, constants left out."""
    nodes = json.loads(path.read_text())["modelTopology"]["node"]
    return [node for node in nodes if node["op"] != "Const"]


class Reading:
    """The maps of a MoveNet file, computed operation by operation.

    Args:
        path: of the .json; the .bin lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self.weights = {name: torch.from_numpy(w) for name, w in read_weights(path).items()}
        self.nodes = read_nodes(path)
        self.outputs = {}
        for name, scope in HEADS.items():
            last = [n["name"] for n in self.nodes if f"/{scope}/" in n["name"]][-1]
            self.outputs[name] = last

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> dict[str, Tensor]:
        """Maps [n, c, h, w] of frames uint8 or float [n, h, w, 3], 0 to 255."""
        values: dict[str, Tensor] = {}
        for node in self.nodes:
            inputs = [name.partition(":")[0] for name in node.get("input", [])]
            if node["op"] == "Placeholder":
                values[node["name"]] = frames.float()
                continue
            if not all(name in values or name in self.weights for name in inputs):
                continue  # behind the maps
            given = [values[n] if n in values else self.weights[n] for n in inputs]
            value = _compute(node, given)
            if value is not None:
                values[node["name"]] = value
            if set(self.outputs.values()) <= set(values):
                break
        return {name: values[at].permute(0, 3, 1, 2) for name, at in self.outputs.items()}


def _compute(node: Mapping[str, Any], inputs: list[Tensor]) -> Tensor | None:
    """The value of a node, channels last; None for what only decodes."""
    x, attributes = inputs[0], node.get("attr", {})
    match node["op"]:
        case "Cast" | "Unpack" | "ExpandDims" | "Squeeze":
            return x if x.ndim == 4 else None  # the batch of frames in other clothes
        case "AddV2":
            return inputs[0] + inputs[1]
        case "Sub":
            return inputs[0] - inputs[1]
        case "Mul":
            return inputs[0] * inputs[1]
        case "ResizeBilinear":
            if not attributes["half_pixel_centers"]["b"] or attributes["align_corners"]["b"]:
                raise ValueError("ResizeBilinear: expected half-pixel centres.")
            size = [int(v) for v in inputs[1]]
            y = F.interpolate(x.permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False)
            return y.permute(0, 2, 3, 1)
        case "_FusedConv2D" | "FusedDepthwiseConv2dNative" | "DepthwiseConv2dNative":
            return _convolution(node, inputs)
        case _:
            return None


def _convolution(node: Mapping[str, Any], inputs: list[Tensor]) -> Tensor:
    x, weight = inputs[0].permute(0, 3, 1, 2), inputs[1]
    attributes = node["attr"]
    stride = int(attributes["strides"]["list"]["i"][1])
    if "Depthwise" in node["op"]:
        kernel, groups = weight.permute(2, 3, 0, 1), weight.shape[2]
    else:
        kernel, groups = weight.permute(3, 2, 0, 1), 1
    if base64.b64decode(attributes["padding"]["s"]) == b"SAME":
        sides = (_same(x.shape[axis], kernel.shape[axis], stride) for axis in (3, 2))
        x = F.pad(x, [amount for side in sides for amount in side])
    y = F.conv2d(x, kernel, inputs[2] if len(inputs) > 2 else None, stride, groups=groups)
    for name in attributes.get("fused_ops", {}).get("list", {}).get("s", []):
        match base64.b64decode(name):
            case b"Relu6":
                y = y.clamp(0, 6)
            case b"Relu":
                y = y.relu()
    return y.permute(0, 2, 3, 1)


def _same(size: int, kernel: int, stride: int) -> list[int]:
    """Padding of one axis, start and end: what TensorFlow calls SAME."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return [total // 2, total - total // 2]
