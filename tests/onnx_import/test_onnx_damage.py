"""Weights in other files, and files that are damaged or want too much."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnx
from onnx import TensorProto
from onnx_models import difference, ints, model, normal, op, ours, theirs

import pvnet
from pvnet.errors import FileError, UnsupportedError


def external(folder: Path, location: str, *, length: int = 96) -> Path:
    proto = onnx.load_from_string(model([op("Conv", "x w")], {"w": normal(6, 4, 1, 1)}))
    tensor = proto.graph.initializer[0]
    (folder / "weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_weights_in_a_file_beside_the_model(tmp_path: Path) -> None:
    path = external(tmp_path, "weights.bin")
    frame = normal(4, 6, 8)
    assert difference(ours(path, frame)["y"], theirs(str(path), frame[None])[0]) < 1e-5


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(96))
    (inner / "link.bin").symlink_to(tmp_path / "secret.bin")
    for location in ("../secret.bin", str(tmp_path / "secret.bin"), "link.bin", ""):
        with pytest.raises(FileError, match="outside the folder"):
            pvnet.from_onnx(external(inner, location))
    with pytest.raises(FileError, match="bytes 0 to 9999 of 96"):
        pvnet.from_onnx(external(inner, "weights.bin", length=9999))
    with pytest.raises(FileError, match="cannot be read"):
        pvnet.from_onnx(external(inner, "gone.bin"))


def test_circles_doubles_and_huge_tensors_are_refused() -> None:
    cases = {
        "a circle through": [op("Add", "x b", "a"), op("Relu", "a", "b"), op("Relu", "a")],
        "two nodes that make": [op("Relu", "x"), op("Sigmoid", "x")],
    }
    for text, nodes in cases.items():
        with pytest.raises(FileError, match=text):
            pvnet.from_onnx(model(nodes))
    proto = onnx.load_from_string(model([op("Add", "x k")], {"k": normal(1)}))
    proto.graph.initializer[0].dims[:] = [2**40]
    with pytest.raises(FileError, match="a tensor is damaged"):
        pvnet.from_onnx(proto.SerializeToString())
    consts = {"n": ints(2**20, 2**20), "k": np.float32(1)}
    nodes = [op("Expand", "k n", "big"), op("Add", "x big")]
    with pytest.raises(UnsupportedError, match="a constant of shape"):
        pvnet.from_onnx(model(nodes, consts))
    with pytest.raises(FileError, match=r"missing|No such"):
        pvnet.from_onnx("/nowhere/net.onnx")


def test_damaged_files_are_refused_or_mean_something(tmp_path: Path) -> None:
    consts = {"w": normal(6, 4, 3, 3), "b": normal(6), "s": ints(1, -1), "v": normal(144, 3)}
    nodes = [
        op("Conv", "x w b", "c", pads=[0, 0, 0, 0]),
        op("Relu", "c", "r"),
        op("Reshape", "r s", "f"),
        op("MatMul", "f v"),
    ]
    data = model(nodes, consts)
    rng = np.random.default_rng(5)
    refused = untold = 0
    for i in range(400):
        damaged = bytearray(data)
        if i % 4 == 0:
            damaged = damaged[: int(rng.integers(len(data)))]
        else:  # what describes the network, rather than its weights
            spots = [
                m.start()
                for m in re.finditer(rb"Conv|Relu|Reshape|MatMul|pads|net|\bx\b|\bw\b", data)
            ]
            for _ in range(int(rng.integers(1, 4))):
                at = (spots[int(rng.integers(len(spots)))] + int(rng.integers(-12, 12))) % len(data)
                damaged[at] ^= 1 << int(rng.integers(8))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pvnet.from_onnx(bytes(damaged))
        except pvnet.PvnetError as error:
            refused += 1
            untold += not str(error).startswith("[")
    assert refused > 100
    assert not untold
