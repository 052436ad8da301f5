"""Writes ONNX files of a network: `python -m peer.export FOLDER`, by the peers' Python.

step.onnx takes a frame and the past, window.onnx a window of frames. embed.tflite is for MediaPipe.
A network of torchvision is written as it is, and pvnet reads that very file.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from peer import vision
from peer.files import Prepared, prepared
from peer.torch_net import StepNet, WindowNet

OPSET = 17


def names_of(net: StepNet) -> tuple[list[str], list[str]]:
    """Of the past that comes in, and of what goes out to be kept."""
    before = []
    for k, (name, _, back) in enumerate(net.kept):
        key = f"past{k}" if name in net.now else "past_frame"
        before += [f"{key}_{i}" for i in range(1, back + 1)]
    return before, [f"now{k}" for k in range(len(net.now))]


def write(
    net: nn.Module, args: tuple[Any, ...], path: Path, ins: list[str], outs: list[str]
) -> None:
    """One file."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, args, str(path), opset_version=OPSET, dynamo=False, input_names=ins,
            output_names=outs,
        )  # fmt: skip


def step(net: Prepared) -> StepNet:
    """The network of a frame a call."""
    return StepNet(net.nodes, [node for _, node in net.outputs], net.weights()).eval()


def main(folder: Path) -> None:
    """All files of a folder."""
    if folder.name.removesuffix("-dry") in vision.MODULES and not (folder / "net.json").exists():
        name = folder.name.removesuffix("-dry")
        size = 64 if folder.name.endswith("-dry") else 224
        frame = torch.zeros(1, 3, size, size)
        write(vision.make(name), (frame,), folder / "step.onnx", ["frame"], ["output"])
        return
    net = prepared(folder)
    if net.clock_ticks == 1:
        one = step(net)
        before, now = names_of(one)
        outs = [name for name, _ in net.outputs] + now
        frame = torch.zeros(1, *net.frame)
        write(one, (frame, *one.zeros()), folder / "step.onnx", ["frame", *before], outs)
    if net.name == "catch" and importlib.util.find_spec("mediapipe"):
        from peer import tflite

        (folder / "embed.tflite").write_bytes(tflite.written(net))
    if net.window:
        whole = WindowNet(net.nodes, [node for _, node in net.outputs], net.weights()).eval()
        clip = torch.zeros(1, net.frame[0], net.window, *net.frame[1:])
        outs = [name for name, _ in net.outputs]
        write(whole, (clip,), folder / "window.onnx", ["clip"], outs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
