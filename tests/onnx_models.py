"""Small ONNX models, run by ONNX Runtime and by pvnet side by side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import pvnet

OPSETS = (11, 13, 17, 18, 22)
RNG = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    """Seeded numbers, the same in every run of one test file."""
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def op(kind: str, inputs: str, outputs: str = "y", **attrs: Any) -> onnx.NodeProto:
    """A node; names are words of a text, "_" an input that is left out."""
    names = ["" if n == "_" else n for n in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), name=f"/{kind}/{outputs}", **attrs)


def model(
    nodes: Sequence[onnx.NodeProto],
    consts: Mapping[str, np.ndarray] | None = None,
    *,
    shape: Sequence[int | str] = (1, 4, 6, 8),
    opset: int = 17,
    outputs: str = "y",
    kind: int = TensorProto.FLOAT,
    domains: Sequence[str] = (),
    out_kind: int = TensorProto.FLOAT,
) -> bytes:
    """A model of the input x."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info(n, out_kind, None) for n in outputs.split()],
        [numpy_helper.from_array(v, k) for k, v in (consts or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    proto = helper.make_model(graph, opset_imports=opsets)
    proto.ir_version = 8 if opset < 19 else 10
    return proto.SerializeToString()


def quiet_import(data: Any, **options: Any) -> pvnet.runtime.Model:
    """The imported model, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return pvnet.from_onnx(data, **options)


def ours(
    data: Any, frame: np.ndarray, backend: str = "ref", **options: Any
) -> dict[str, np.ndarray]:
    """What pvnet computes for one frame [c, h, w]."""
    plan = pvnet.compile(quiet_import(data, **options), backend=backend, lanes=1)
    return {k: np.array(v[0]) for k, v in plan.stream().tick(frame[None]).outputs.items()}


def theirs(data: Any, frame: np.ndarray, names: Sequence[str] | None = None) -> list[np.ndarray]:
    """What ONNX Runtime computes for one tensor, without its own rewriting."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(names, {session.get_inputs()[0].name: frame})


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, in parts of the range of what is expected."""
    assert got.size == expected.size, (got.shape, expected.shape)
    spread = max(float(np.ptp(expected)), float(np.abs(expected).max()), 1e-6)
    return float(np.abs(got.ravel() - expected.ravel()).max()) / spread


def check(
    data: bytes, *, scale: float = 1.0, shape: Sequence[int] | None = None, most: float = 1e-5
) -> None:
    """Both compute the same for a seeded frame; the elements are compared in their order."""
    proto = onnx.load_from_string(data)
    dims = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    dims = list(shape) if shape is not None else dims
    frame = (np.random.default_rng(3).standard_normal(dims) * scale).astype(np.float32)
    expected = theirs(data, frame)
    got = list(ours(data, frame[0]).values())
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        assert difference(a, b) < most, f"{difference(a, b):.2g}"
