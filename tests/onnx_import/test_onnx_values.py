"""Arithmetic, activations, norms, and patterns of them, equal ONNX Runtime."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnx_models as om
from onnx_models import OPSETS, check, ints, model, normal, op

ACTIVATIONS = {
    "Relu": {}, "Sigmoid": {}, "Tanh": {}, "Softplus": {}, "Mish": {}, "HardSwish": {},
    "LeakyRelu": {"alpha": 0.2}, "Elu": {"alpha": 0.7}, "Selu": {}, "Celu": {},
    "HardSigmoid": {"alpha": 0.25, "beta": 0.4}, "Gelu": {},
}  # fmt: skip


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation(kind: str, fused: bool) -> None:
    first = op("Conv", "x w", "a") if fused else op("MaxPool", "x", "a", kernel_shape=[1, 1])
    nodes = [first, op(kind, "a", **ACTIVATIONS[kind])]
    check(model(nodes, {"w": normal(5, 4, 1, 1)}, opset=20), scale=2)


def test_hard_sigmoid_of_torch_and_gelu_by_tanh() -> None:
    nodes = [op("HardSigmoid", "x", "a", alpha=1 / 6), op("Gelu", "a", approximate="tanh")]
    check(model(nodes, opset=20), scale=3)


@pytest.mark.parametrize("slope", [(1,), (4, 1, 1), (1, 1, 1)])
def test_prelu(slope: tuple[int, ...]) -> None:
    check(model([op("PRelu", "x s")], {"s": np.abs(normal(*slope))}))


@pytest.mark.parametrize("opset", OPSETS)
def test_clip_of_every_opset(opset: int) -> None:
    consts = {"lo": np.float32(-0.5), "hi": np.float32(0.7)}
    nodes = [
        op("Clip", "x lo hi", "a"),
        op("Clip", "x _ hi", "b"),
        op("Clip", "x lo", "c"),
        op("Sum", "a b c"),
    ]
    check(model(nodes, consts, opset=opset))


def test_max_and_min_with_numbers() -> None:
    consts = {"lo": np.float32(-0.5), "hi": np.full((1, 1, 1, 1), 0.7, np.float32)}
    check(model([op("Max", "x lo", "a"), op("Min", "hi a")], consts))


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize(
    "shape", [(), (1,), (4, 1, 1), (1, 4, 1, 1), (6, 8), (1, 6, 8), (4, 6, 8), (8,)]
)
@pytest.mark.parametrize("first", [True, False])
def test_arithmetic_with_a_constant(kind: str, shape: tuple[int, ...], first: bool) -> None:
    consts = {"k": np.abs(normal(*shape)) + 0.5}
    nodes = [op("Sigmoid", "x", "a"), op(kind, "k a" if first else "a k")]
    check(model(nodes, consts))


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("other", ["full", "channels", "pixels", "one"])
@pytest.mark.parametrize("first", [True, False])
def test_arithmetic_of_two_maps(kind: str, other: str, first: bool) -> None:
    nodes = [op("Sigmoid", "x", "a")]
    if other in ("channels", "one"):
        nodes.append(op("GlobalAveragePool", "a", "b" if other == "channels" else "p"))
    if other in ("pixels", "one"):
        source = "a" if other == "pixels" else "p"
        nodes.append(op("ReduceMean", source, "b", axes=[1], keepdims=1))
    if other == "full":
        nodes.append(op("Exp2" if False else "Softplus", "x", "b"))
    nodes.append(op(kind, "b a" if first else "a b"))
    check(model(nodes))


def test_a_sum_of_three_and_powers() -> None:
    consts = {"two": np.float32(2), "three": np.float32(3)}
    nodes = [
        op("Pow", "x two", "a"),
        op("Pow", "x three", "b"),
        op("Neg", "b", "c"),
        op("Abs", "x", "d"),
        op("Sum", "a c d"),
    ]
    check(model(nodes, consts))


def test_a_grey_picture_becomes_colours() -> None:
    consts = {"k": normal(1, 3, 1, 1)}
    check(model([op("Add", "x k")], consts, shape=(1, 1, 6, 8)))


def test_expand_of_one_pixel_and_of_one_channel() -> None:
    consts = {"s": ints(1, 4, 5, 7), "t": ints(1, 3, 1, 1)}
    nodes = [
        op("GlobalAveragePool", "x", "p"),
        op("Expand", "p s", "a"),
        op("ReduceMean", "a", "m", axes=[1]),
        op("Tile", "m t"),
    ]
    check(model(nodes, consts))


def test_batch_norm_behind_a_convolution_and_alone() -> None:
    consts = {"w": normal(4, 4, 3, 3)} | {k: np.abs(normal(4)) + 0.1 for k in "sbmv"}
    nodes = [
        op("BatchNormalization", "x s b m v", "a", epsilon=1e-3),
        op("Conv", "a w", "c", pads=[1, 1, 1, 1]),
        op("BatchNormalization", "c s b m v", "d"),
        op("Relu", "d"),
    ]
    check(model(nodes, consts))
    assert len(om.quiet_import(model(nodes, consts)).graph.nodes) == 3


@pytest.mark.parametrize("opset", OPSETS)
def test_instance_norm_and_group_norm_as_torch_exports_it(opset: int) -> None:
    consts = {
        "s": normal(4),
        "b": normal(4),
        "one": np.ones(2, np.float32),
        "zero": np.zeros(2, np.float32),
        "g": ints(0, 2, -1),
        "back": ints(1, 4, 6, 8),
        "w": normal(4, 1, 1),
    }
    nodes = [
        op("InstanceNormalization", "x s b", "a", epsilon=1e-4),
        op("Reshape", "a g", "c"),
        op("InstanceNormalization", "c one zero", "d"),
        op("Reshape", "d back", "e"),
        op("Mul", "e w"),
    ]
    check(model(nodes, consts, opset=opset))


@pytest.mark.parametrize("opset", [18, 21, 22])
def test_group_norm(opset: int) -> None:
    n = 2 if opset == 18 else 4
    consts = {"s": normal(n), "b": normal(n)}
    data = model([op("GroupNormalization", "x s b", num_groups=2)], consts, opset=opset)
    if opset > 18:
        check(data)
        return
    frame = normal(4, 6, 8)  # ONNX Runtime does not know the one of opset 18
    groups = frame.reshape(2, -1)
    normed = (groups - groups.mean(1, keepdims=True)) / np.sqrt(groups.var(1, keepdims=True) + 1e-5)
    expected = normed.reshape(4, 6, 8) * np.repeat(consts["s"], 2)[:, None, None]
    expected += np.repeat(consts["b"], 2)[:, None, None]
    assert om.difference(om.ours(data, frame)["y"], expected) < 1e-5


def test_mean_variance_normalization() -> None:
    check(model([op("MeanVarianceNormalization", "x", axes=[0, 2, 3])]))


@pytest.mark.parametrize("bias", ["", " b"])
def test_layer_norm_over_channels_between_transposes(bias: str) -> None:
    consts = {"s": normal(4), "b": normal(4)}
    nodes = [
        op("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        op("LayerNormalization", f"t s{bias}", "n"),
        op("Transpose", "n", perm=[0, 3, 1, 2]),
    ]
    check(model(nodes, consts))


@pytest.mark.parametrize("weights", [(4, 6, 8), (4, 1, 1)])
def test_layer_norm_over_the_whole_map(weights: tuple[int, ...]) -> None:
    full = np.broadcast_to(normal(*weights), (4, 6, 8)).copy()
    check(model([op("LayerNormalization", "x s b", axis=1)], {"s": full, "b": full[::-1].copy()}))


def test_layer_norm_in_small_operations() -> None:
    consts = {"two": np.float32(2), "eps": np.float32(1e-6), "s": normal(4), "b": normal(4)}
    nodes = [
        op("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        op("ReduceMean", "t", "m", axes=[-1]),
        op("Sub", "t m", "d"),
        op("Pow", "d two", "q"),
        op("ReduceMean", "q", "v", axes=[-1]),
        op("Add", "v eps", "e"),
        op("Sqrt", "e", "r"),
        op("Div", "d r", "n"),
        op("Mul", "n s", "k"),
        op("Add", "k b", "l"),
        op("Transpose", "l", perm=[0, 3, 1, 2]),
    ]
    data = model(nodes, consts)
    check(data)
    assert [n.op for n in om.quiet_import(data).graph.nodes] == ["input", "layer_norm"]


GATES = {
    "silu": [op("Sigmoid", "x", "g"), op("Mul", "x g")],
    "mish": [op("Softplus", "x", "s"), op("Tanh", "s", "g"), op("Mul", "g x")],
    "hard_swish": [op("HardSigmoid", "x", "g", alpha=1 / 6), op("Mul", "x g")],
    "hard_swish by relu6": [
        op("Add", "x three", "a"),
        op("Clip", "a zero six", "c"),
        op("Mul", "x c", "m"),
        op("Div", "m six"),
    ],
    "hard_swish by a quotient": [
        op("Add", "x three", "a"),
        op("Clip", "a zero six", "c"),
        op("Div", "c six", "g"),
        op("Mul", "x g"),
    ],
    "gelu": [
        op("Div", "x root", "d"),
        op("Erf", "d", "e"),
        op("Add", "e one", "o"),
        op("Mul", "x o", "m"),
        op("Mul", "m half"),
    ],
    "gelu of halves": [
        op("Mul", "x half", "h"),
        op("Div", "x root", "d"),
        op("Erf", "d", "e"),
        op("Add", "e one", "o"),
        op("Mul", "o h"),
    ],
    "gelu_tanh": [
        op("Pow", "x three", "c"),
        op("Mul", "c k", "kc"),
        op("Add", "x kc", "s"),
        op("Mul", "s t", "ts"),
        op("Tanh", "ts", "g"),
        op("Add", "g one", "o"),
        op("Mul", "x half", "h"),
        op("Mul", "h o"),
    ],
    "gelu_tanh factored": [
        op("Mul", "x x", "q"),
        op("Mul", "q k", "kq"),
        op("Add", "kq one", "o1"),
        op("Mul", "x t", "tx"),
        op("Mul", "tx o1", "in"),
        op("Tanh", "in", "g"),
        op("Add", "g one", "o"),
        op("Mul", "x o", "m"),
        op("Mul", "m half"),
    ],
}
NUMBERS = {
    "zero": 0, "one": 1, "half": 0.5, "three": 3, "six": 6, "root": math.sqrt(2), "k": 0.044715,
    "t": math.sqrt(2 / math.pi),
}  # fmt: skip


@pytest.mark.parametrize("name", GATES)
def test_an_activation_in_small_operations(name: str) -> None:
    data = model(GATES[name], {k: np.float32(v) for k, v in NUMBERS.items()})
    check(data, scale=3)
    nodes = om.quiet_import(data).graph.nodes
    kinds = [n.op for n in nodes]
    assert kinds in (["input", "act"], ["input", "act", "scale"]), kinds
    assert dict(nodes[1].attrs)["act"] == name.split()[0]


FACTORS = {
    "number": ("three", {"pads": [1, 1, 1, 1]}, 1, True),
    "one per channel": ("each", {"pads": [1, 1, 1, 1]}, 1, True),
    "groups": ("each", {"group": 2}, 2, True),
    "summand": ("each", {"group": 2}, 2, True),
    "summand at an edge": ("each", {"pads": [1, 1, 1, 1]}, 1, False),
}


@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_in_front_of_a_convolution_is_in_its_weights(name: str) -> None:
    factor, attrs, groups, folded = FACTORS[name]
    consts = {
        "three": np.float32(3),
        "each": np.array([2, -1, 0.5, 3], np.float32)[:, None, None],
        "w": normal(6, 4 // groups, 3, 3),
        "b": normal(6),
    }
    nodes = [op("MaxPool", "x", "m", kernel_shape=[2, 2]), op("Mul", f"m {factor}", "a")]
    if name.startswith("summand"):
        nodes.append(op("Add", "a three", "s"))
    nodes.append(op("Conv", f"{nodes[-1].output[0]} w b", **attrs))
    data = model(nodes, consts, shape=(1, 4, 9, 8))
    check(data)
    kinds = [n.op for n in om.quiet_import(data).graph.nodes]
    assert kinds == ["input", "max_pool", *([] if folded else ["scale"]), "conv3d"]
