"""pvnet's model files against the safetensors package: each reads what the other writes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from model_files import GRAPH, SHAPES, Arrays, arrays, metadata

from pvnet import _core
from pvnet.errors import FileError, InvalidArgumentError

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"


def same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype == np.float32 and np.array_equal(a[k], b[k]) for k in a
    )


def written(path: Path, weights: Arrays, **more: str) -> Path:
    """A file written by pvnet."""
    graph, _, _ = _core.load_model(safetensors.numpy.save(arrays(), metadata()))
    _core.save_model(str(path), graph, weights, more)
    return path


def test_pvnet_reads_what_safetensors_writes(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.numpy.save_file(arrays(), path, metadata(note="café ☕ \x01"))
    for source in (str(path), path.read_bytes()):
        graph, weights, more = _core.load_model(source)
        assert same(weights, arrays())
        assert more == {"note": "café ☕ \x01"}
        assert json.loads(graph.to_json())["nodes"] == GRAPH["nodes"]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_types_become_float32(dtype: str) -> None:
    other = {k: v.astype(dtype) for k, v in arrays().items()}
    _, weights, _ = _core.load_model(safetensors.numpy.save(other, metadata()))
    assert same(weights, arrays())


def test_every_half_precision_number() -> None:
    """All 65536 bit patterns of f16 and bf16 through a file, 96 at a time, against numpy."""
    bits = np.arange(65536, dtype=np.uint16)
    halves = bits.view(np.float16).astype(np.float32)
    brains = (bits.astype(np.uint32) << 16).view(np.float32)
    n = 96
    for dtype, truth in (("F16", halves), ("BF16", brains)):
        finite = np.isfinite(truth)
        patterns, values = bits[finite], truth[finite]
        for i in range(0, len(patterns) - n, n):
            blob = with_weight(dtype, patterns[i : i + n].tobytes())
            _, weights, _ = _core.load_model(blob)
            assert weights["b.weight"].tobytes() == values[i : i + n].tobytes()


def with_weight(dtype: str, data: bytes) -> bytes:
    """The model with b.weight of another type and given bytes."""
    header: dict[str, object] = {"__metadata__": metadata()}
    body = b""
    for name, value in arrays().items():
        piece = data if name == "b.weight" else value.tobytes()
        header[name] = {
            "dtype": dtype if name == "b.weight" else "F32",
            "shape": list(value.shape),
            "data_offsets": [len(body), len(body) + len(piece)],
        }
        body += piece
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def test_safetensors_reads_what_pvnet_writes(tmp_path: Path) -> None:
    path = written(tmp_path / "m.safetensors", arrays(1), note='café "☕" \x01\n')
    assert same(safetensors.numpy.load_file(path), arrays(1))
    with safetensors.safe_open(path, framework="numpy") as f:
        meta = f.metadata()
    assert meta["note"] == 'café "☕" \x01\n'
    assert meta["pvnet_version"] == "1"
    assert json.loads(meta["pvnet_graph"])["nodes"] == GRAPH["nodes"]
    assert list(tmp_path.iterdir()) == [path]


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    shuffled = dict(reversed(arrays().items()))
    a = written(tmp_path / "a", arrays(), p="1", q="2").read_bytes()
    b = written(tmp_path / "b", shuffled, q="2", p="1").read_bytes()
    assert a == b
    graph, weights, more = _core.load_model(a)
    _core.save_model(str(tmp_path / "c"), graph, weights, more)
    assert (tmp_path / "c").read_bytes() == a


def test_cut_at_every_byte(tmp_path: Path) -> None:
    whole = written(tmp_path / "m", arrays()).read_bytes()
    for n in range(len(whole)):
        with pytest.raises(FileError, match=MESSAGE):
            _core.load_model(whole[:n])
    with pytest.raises(FileError, match=MESSAGE):
        _core.load_model(whole + b"\0")


def test_what_pvnet_accepts_safetensors_accepts(tmp_path: Path) -> None:
    """Mutations of the header: pvnet may refuse more than the oracle, never less."""
    whole = written(tmp_path / "m", arrays()).read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    rng = np.random.default_rng(7)
    accepted = 0
    for _ in range(3000):
        blob = bytearray(whole)
        for _ in range(rng.integers(1, 3)):
            blob[rng.integers(0, 8 + length)] = rng.choice([*b'0123456789,:[]{}" aF', 0, 255])
        try:
            _, weights, _ = _core.load_model(bytes(blob))
        except FileError:
            continue
        accepted += 1
        assert same(safetensors.numpy.load(bytes(blob)), weights)
    assert accepted > 0


def test_another_safetensors_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file(arrays(), path)
    with pytest.raises(FileError, match="is not a pvnet model"):
        _core.load_model(str(path))


@pytest.mark.parametrize(
    ("version", "text"), [("3", "newer"), ("0", "pvnet_version"), ("", "pvnet_version")]
)
def test_unknown_format_versions_are_refused(version: str, text: str) -> None:
    meta = {**metadata(), "pvnet_version": version}
    with pytest.raises(FileError, match=text):
        _core.load_model(safetensors.numpy.save(arrays(), meta))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_weights(bad: float, tmp_path: Path) -> None:
    weights = arrays()
    weights["b.bias"][1] = bad
    with pytest.raises(FileError, match=r"b\.bias.*not finite"):
        _core.load_model(safetensors.numpy.save(weights, metadata()))
    with pytest.raises(InvalidArgumentError, match=r"b\.bias.*not finite"):
        written(tmp_path / "m", weights)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", SHAPES)
def test_missing_superfluous_and_misshapen_weights(name: str) -> None:
    missing = {k: v for k, v in arrays().items() if k != name}
    more = {**arrays(), name + "2": np.zeros(3, np.float32)}
    misshapen = {**arrays(), name: arrays()[name][..., None]}
    for weights in (missing, more, misshapen):
        with pytest.raises(FileError, match=MESSAGE) as caught:
            _core.load_model(safetensors.numpy.save(weights, metadata()))
        assert name in str(caught.value)


def test_golden_model_of_version_1() -> None:
    """A file written by version 1 loads for good."""
    path = Path(__file__).parent / "golden" / "model_v1.safetensors"
    graph, weights, more = _core.load_model(str(path))
    assert same(weights, arrays(11))
    assert more == {"classes": "one,two"}
    assert json.loads(graph.to_json())["nodes"] == GRAPH["nodes"]
