"""from_onnx: a network in an ONNX file becomes a Model that runs on video."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Collection, Sequence

import numpy as np

from pvnet import _core
from pvnet.errors import InvalidArgumentError, PvnetError, UnsupportedError
from pvnet.graph import Graph
from pvnet.onnx_import import fuse, patterns, tails
from pvnet.onnx_import.draft import PSEUDO, Draft
from pvnet.onnx_import.file import File, read
from pvnet.onnx_import.frame import Numbers, add_frame
from pvnet.onnx_import.importer import Importer
from pvnet.onnx_import.refusal import Refused, few, listing
from pvnet.onnx_import.view import View
from pvnet.onnx_import.walk import Walk, walk
from pvnet.runtime import Model


def from_onnx(
    path: str | os.PathLike[str] | bytes,
    *,
    size: tuple[int, int] | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    labels: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    name: str | None = None,
) -> Model:
    """Reads a convolutional network, weights included, as a Model of one stage.

    The result computes for every frame what the file computes for one image, in f32: weights of 16
    bits and quantised ones become floats. docs/onnx.md lists the operations.

    Args:
        path: an .onnx file of opset 11 to 22, or its bytes. Weights may lie in files beside it.
        size: (height, width) of a frame, in pixels; needed where the file leaves them open.
        mean: subtracted from uint8 frames after their division by 255, for each channel.
        std: uint8 frames are divided by it after that, for each channel.
        labels: names of classes, kept in the metadata.
        outputs: names of tensors of the file to end at; None: its outputs.
        name: of the network, kept in the metadata; None: that of the file.

    Returns:
        A Model in sequential wiring, with the input "frame". Outputs are maps [c, h, w], named as
        in the file.

    Warns:
        UserWarning: a tail was cut off, or activations that the file quantises run in float.

    Raises:
        UnsupportedError: operations that cannot be imported, or an opset; the message lists all.
        InvalidArgumentError: a size, name or number that does not fit the file.
        FileError: missing, damaged, or no ONNX model.
        MissingPackageError: the package onnx is not installed.
    """
    file = read(path)
    wanted = _wanted(file, outputs)
    draft, held = _imported(file, wanted, size, mean, std)
    metadata = {"imported_from": "onnx", "name": name or _stem(path)}
    if labels is not None:
        metadata["labels"] = json.dumps([str(label) for label in labels])
    return _model(draft, held, metadata)


def _stem(path: str | os.PathLike[str] | bytes) -> str:
    if isinstance(path, bytes):
        return "onnx"
    return os.path.splitext(os.path.basename(os.fspath(path)))[0]  # noqa: PTH119, PTH122


def _wanted(file: File, outputs: Sequence[str] | None) -> list[str]:
    if outputs is None:
        return file.body.outputs
    made = {name for node in file.body.nodes for name in node.outputs}
    unknown = [name for name in outputs if name not in made]
    if unknown or not outputs:
        raise InvalidArgumentError(
            f"[from_onnx] the file has no such tensor: got outputs={list(outputs)}, expected names "
            f"such as {few(file.body.outputs)}. Look them up in a viewer such as Netron."
        )
    return list(outputs)


def _imported(
    file: File,
    wanted: list[str],
    size: tuple[int, int] | None,
    mean: Numbers,
    std: Numbers,
) -> tuple[Draft, dict[str, str]]:
    """The draft, and node by name of output."""
    refused: set[str] = set()
    while True:
        im = Importer(file.opset)
        for value in file.inputs:
            add_frame(im, file, value, size, mean, std)
        walked = walk(im, file.body, wanted, refused)
        if blocks := tails.blocking(walked, wanted):
            raise _unsupported(listing(blocks))
        names = tails.ends(im, walked, wanted)
        if not names:
            raise UnsupportedError(
                "[from_onnx] no output depends on a frame: got constants, or a tail without a "
                "network, expected a network. Name other tensors with outputs=."
            )
        nodes = _maps(im, names)
        patterns.find(im.draft, nodes)
        left = {op.origin for op in im.draft.ops.values() if op.op in PSEUDO}
        if left <= refused:
            break
        refused |= left  # tell it as any other refusal, or cut it off with the tail
    _lower(im.draft)
    nodes = fuse.fuse(im.draft, nodes)
    _tell(im, walked, names)
    return im.draft, dict(zip(tails.named(names), nodes))


def _maps(im: Importer, names: Collection[str]) -> list[str]:
    nodes = []
    for name in names:
        value = im.values[name]
        assert isinstance(value, View)
        im.draft.origin = name
        try:
            nodes.append(tails.as_map(im, value))
        except Refused as reason:
            raise _unsupported([f"the output {name!r}: {reason}"]) from None
    return nodes


def _unsupported(lines: Sequence[str]) -> UnsupportedError:
    told = "".join(f"\n  {line}" for line in lines)
    kinds = "1 kind" if len(lines) == 1 else f"{len(lines)} kinds"
    return UnsupportedError(
        f"[from_onnx] the model cannot be imported: got {kinds} of operations without support, "
        "expected those of docs/onnx.md. Replace them, or end before them with "
        f"outputs=[...]:{told}"
    )


def _lower(draft: Draft) -> None:
    """Means over channels that are no part of a norm, as convolutions."""
    for op in draft.ops.values():
        if op.op == "channel_mean":
            c = draft.ops[op.inputs[0]].shape[0]
            op.op, op.attrs = "conv3d", {"out": 1, "kernel": [1, 1, 1], "bias": False}
            op.weights = {"weight": np.full((1, c, 1, 1, 1), 1 / c, np.float32)}


def _tell(im: Importer, walked: Walk, names: Sequence[str]) -> None:
    cut = [r for r in walked.refusals.values() if r.cut]
    if cut:
        first = ", ".join(names)
        warnings.warn(
            f"[from_onnx] the tail of the network was cut off before {'; '.join(listing(cut))}. "
            f"The outputs are {first}.",
            UserWarning,
            stacklevel=4,
        )
    if quantised := im.notes.get("quantised"):
        warnings.warn(
            f"[from_onnx] {len(quantised)} quantised activations run in float: their range is "
            "kept, their rounding is not.",
            UserWarning,
            stacklevel=4,
        )


def _model(draft: Draft, held: dict[str, str], metadata: dict[str, str]) -> Model:
    core = _core.Graph()
    weights = {}
    for op in draft.ops.values():
        spec = {"op": op.op, "name": op.name, "inputs": op.inputs, "attrs": op.attrs}
        try:
            core.add(json.dumps(spec))
        except PvnetError as error:
            raise UnsupportedError(
                "[from_onnx] a node of the file goes beyond what a graph may hold: got "
                f"{op.origin!r}, {op.op} to {list(op.shape)}, expected less. {error}"
            ) from error
        for key, value in op.weights.items():
            weights[f"{op.name}.{key}"] = value
    for name, node in held.items():
        core.set_output(name, node)
    core.check()
    return Model(Graph.from_core(core), weights, metadata)
