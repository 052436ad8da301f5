"""Channels, pixels and features in other orders equal ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnx_models as om
from onnx_models import OPSETS, check, ints, model, normal, op


@pytest.mark.parametrize("opset", OPSETS)
def test_softmax_over_channels(opset: int) -> None:
    nodes = [op("GlobalAveragePool", "x", "p"), op("Flatten", "p", "f"), op("Softmax", "f", axis=1)]
    check(model(nodes, opset=opset))


def test_softmax_of_pixels_and_of_boxes() -> None:
    check(model([op("Softmax", "x", axis=1)]))
    consts = {"s": ints(1, 2, 4, 6, 8), "w": normal(8, 4, 1, 1), "t": ints(1, 8, 6, 8)}
    nodes = [
        op("Conv", "x w", "a"),
        op("Reshape", "a s", "b"),
        op("Softmax", "b", "c", axis=2),
        op("Reshape", "c t"),
    ]
    check(model(nodes, consts))


@pytest.mark.parametrize("opset", OPSETS)
def test_features_behind_a_network(opset: int) -> None:
    consts = {"w": normal(5, 192), "b": normal(5), "v": normal(5, 3), "s": ints(-1, 192)}
    nodes = [
        op("Reshape", "x s", "f"),
        op("Gemm", "f w b", "g", transB=1, alpha=0.5, beta=2.0),
        op("Relu", "g", "r"),
        op("MatMul", "r v"),
    ]
    check(model(nodes, consts, opset=opset))


def test_features_of_a_map_with_channels_last() -> None:
    consts = {"w": normal(192, 5)}
    nodes = [
        op("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        op("Flatten", "t", "f"),
        op("MatMul", "f w"),
    ]
    check(model(nodes, consts))


def test_a_matrix_before_the_pixels() -> None:
    consts = {"w": normal(5, 4), "s": ints(1, 4, 48), "t": ints(1, 5, 6, 8)}
    nodes = [op("Reshape", "x s", "f"), op("MatMul", "w f", "m"), op("Reshape", "m t")]
    check(model(nodes, consts))


def test_a_block_of_convnext() -> None:
    consts = {
        "w": normal(4, 1, 7, 7),
        "s": normal(4),
        "b": normal(4),
        "u": normal(4, 16),
        "ub": normal(16),
        "d": normal(16, 4),
        "g": normal(4),
    }
    nodes = [
        op("Conv", "x w", "c", group=4, pads=[3, 3, 3, 3]),
        op("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        op("LayerNormalization", "t s b", "n"),
        op("MatMul", "n u", "m"),
        op("Add", "m ub", "a"),
        op("Gelu", "a", "e"),
        op("MatMul", "e d", "p"),
        op("Mul", "p g", "q"),
        op("Transpose", "q", "o", perm=[0, 3, 1, 2]),
        op("Add", "x o"),
    ]
    data = model(nodes, consts, opset=20)
    check(data)
    assert [n.op for n in om.quiet_import(data).graph.nodes] == [
        "input", "conv3d", "layer_norm", "conv3d", "conv3d", "add",
    ]  # fmt: skip


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_and_back(mode: str, opset: int) -> None:
    nodes = [
        op("DepthToSpace", "x", "a", blocksize=2, mode=mode),
        op("Relu", "a", "r"),
        op("SpaceToDepth", "r", blocksize=2),
    ]
    check(model(nodes, opset=opset, shape=(1, 12, 3, 4)))


def test_pixel_shuffle_in_small_operations() -> None:
    consts = {"s": ints(1, 3, 2, 2, 3, 4), "t": ints(1, 3, 6, 8)}
    nodes = [
        op("Reshape", "x s", "a"),
        op("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]),
        op("Reshape", "b t"),
    ]
    data = model(nodes, consts, shape=(1, 12, 3, 4))
    check(data)
    assert [n.op for n in om.quiet_import(data).graph.nodes] == ["input", "depth_to_space"]


def test_channel_shuffle() -> None:
    consts = {"s": ints(1, 2, 2, 6, 8), "t": ints(1, -1, 6, 8), "w": normal(4, 2, 1, 1)}
    nodes = [
        op("Reshape", "x s", "a"),
        op("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        op("Reshape", "b t", "c"),
        op("Conv", "c w", group=2),
    ]
    check(model(nodes, consts))


@pytest.mark.parametrize("opset", OPSETS)
def test_split_and_concat_of_channels(opset: int) -> None:
    consts = {"n": ints(1, 3)} if opset >= 13 else {}
    split = (
        op("Split", "x n", "a b", axis=1)
        if consts
        else op("Split", "x", "a b", axis=1, split=[1, 3])
    )
    check(model([split, op("Concat", "b a b", axis=1)], consts, opset=opset))


def test_slices_of_channels_rows_and_columns() -> None:
    consts = {"s": ints(3, 1, 0), "e": ints(-100, 6, 8), "a": ints(1, 2, 3), "t": ints(-1, 2, 3)}
    check(model([op("Slice", "x s e a t")], consts))


def test_focus_by_strided_slices() -> None:
    nodes, consts = (
        [],
        {"a": ints(2, 3), "t": ints(2, 2), "e": ints(99, 99), "w": normal(3, 16, 3, 3)},
    )
    for i, (r, c) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        consts[f"s{i}"] = ints(r, c)
        nodes.append(op("Slice", f"x s{i} e a t", f"p{i}"))
    nodes += [op("Concat", "p0 p1 p2 p3", "c", axis=1), op("Conv", "c w", pads=[1, 1, 1, 1])]
    check(model(nodes, consts))


def test_gather_of_channels() -> None:
    consts = {"i": ints(2, 0, 2), "j": np.asarray(1, np.int64), "s": ints(1, 2, 2, 6, 8)}
    check(model([op("Gather", "x i", axis=1)], consts))
    check(model([op("Reshape", "x s", "r"), op("Gather", "r j", axis=1)], consts))


def test_concat_of_rows_and_columns() -> None:
    nodes = [op("Relu", "x", "r"), op("Concat", "x r", "a", axis=2), op("Concat", "a a", axis=3)]
    check(model(nodes))


def test_squeeze_excite_with_flattened_features() -> None:
    consts = {"w": normal(4, 2), "v": normal(2, 4), "s": ints(1, -1, 1, 1)}
    nodes = [
        op("GlobalAveragePool", "x", "p"),
        op("Flatten", "p", "f"),
        op("MatMul", "f w", "a"),
        op("Relu", "a", "r"),
        op("MatMul", "r v", "b"),
        op("Sigmoid", "b", "g"),
        op("Reshape", "g s", "h"),
        op("Mul", "x h"),
    ]
    check(model(nodes, consts))


def test_a_split_attention_of_channels() -> None:
    consts = {"s": ints(1, 2, 2, 6, 8), "t": ints(1, 4, 6, 8), "one": ints(1)}
    nodes = [
        op("Reshape", "x s", "a"),
        op("ReduceSum", "a one", "sum", keepdims=0),
        op("Softmax", "a", "p", axis=1),
        op("Mul", "p a", "m"),
        op("ReduceMean", "m", "g", axes=[1], keepdims=0),
        op("Add", "sum g"),
    ]
    check(model(nodes, consts))


def test_weights_that_are_normalised_in_the_file() -> None:
    consts = {"w": normal(6, 4, 3, 3), "s": ints(1, 6, -1), "t": ints(6, 4, 3, 3)}
    consts |= {k: np.abs(normal(6)) + 0.2 for k in "gbmv"}
    nodes = [
        op("Reshape", "w s", "f"),
        op("BatchNormalization", "f g b m v", "n nm nv", training_mode=1),
        op("Reshape", "n t", "k"),
        op("Conv", "x k"),
    ]
    data = model(nodes, consts)
    frame = normal(4, 6, 8)
    flat = consts["w"].reshape(6, -1)
    normed = (flat - flat.mean(1, keepdims=True)) / np.sqrt(flat.var(1, keepdims=True) + 1e-5)
    weight = (normed * consts["g"][:, None] + consts["b"][:, None]).reshape(6, 4, 3, 3)
    expected = om.theirs(model([op("Conv", "x k")], {"k": weight}), frame[None])[0]
    assert om.difference(om.ours(data, frame)["y"], expected) < 1e-5
