"""Files of other kinds: quantised, halved, channels last, with tails, with weights elsewhere."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnx
import onnx_models as om
from onnx import TensorProto, helper, numpy_helper
from onnx_models import check, difference, ints, model, normal, op, ours, theirs

import pvnet
from pvnet.errors import InvalidArgumentError, UnsupportedError


def imports(data: object, **options: object) -> list[str]:
    """The warnings of an import."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pvnet.from_onnx(data, **options)  # type: ignore[arg-type]
    return [str(w.message) for w in told]


def test_weights_of_16_bits_become_floats() -> None:
    w = normal(6, 4, 3, 3).astype(np.float16)
    nodes = [
        op("Cast", "x", "h", to=TensorProto.FLOAT16),
        op("Conv", "h w", "c"),
        op("Relu", "c", "r"),
        op("Cast", "r", to=TensorProto.FLOAT),
    ]
    check(model(nodes, {"w": w}), most=2e-3)


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("axis", [None, 0])
def test_quantised_weights_and_activations(kind: type, axis: int | None) -> None:
    n = () if axis is None else (6,)
    consts = {
        "q": RNG.integers(0, 100, (6, 4, 3, 3)).astype(kind),
        "s": np.full(n, 0.02, np.float32), "z": np.full(n, 50, kind),
        "as": np.float32(0.05), "az": np.asarray(0 if kind is np.int8 else 128, kind),
    }  # fmt: skip
    attrs = {} if axis is None else {"axis": axis}
    nodes = [
        op("QuantizeLinear", "x as az", "xq"), op("DequantizeLinear", "xq as az", "xf"),
        op("DequantizeLinear", "q s z", "w", **attrs), op("Conv", "xf w"),
    ]  # fmt: skip
    data = model(nodes, consts)
    check(data, most=2e-2)  # the rounding of activations is left out
    assert "quantised" in imports(data)[0]


RNG = np.random.default_rng(1)


def test_a_relu_that_only_a_zero_point_makes_is_kept() -> None:
    consts = {"w": normal(4, 4, 1, 1), "s": np.float32(0.1), "z": np.asarray(0, np.uint8)}
    nodes = [
        op("Conv", "x w", "a"),
        op("QuantizeLinear", "a s z", "q"),
        op("DequantizeLinear", "q s z", "b"),
        op("MaxPool", "b", "c", kernel_shape=[2, 2]),
        op("QuantizeLinear", "c s z", "r"),
        op("DequantizeLinear", "r s z"),
    ]
    data = model(nodes, consts)
    frame = normal(4, 6, 8)
    assert ours(data, frame)["y"].min() == 0
    assert difference(ours(data, frame)["y"], theirs(data, frame[None])[0]) < 5e-2
    assert [n.op for n in om.quiet_import(data).graph.nodes] == ["input", "conv3d", "max_pool"]


def test_a_model_with_channels_last() -> None:
    consts = {"m": normal(3), "w": normal(4, 3, 3, 3)}
    nodes = [
        op("Sub", "x m", "s"),
        op("Transpose", "s", "t", perm=[0, 3, 1, 2]),
        op("Conv", "t w", "c", auto_pad="SAME_UPPER", strides=[2, 2]),
        op("Transpose", "c", perm=[0, 2, 3, 1]),
    ]
    data = model(nodes, consts, shape=(1, 18, 20, 3))
    frame = normal(18, 20, 3)
    got = ours(data, frame.transpose(2, 0, 1).copy())["y"]
    assert difference(got.transpose(1, 2, 0), theirs(data, frame[None])[0][0]) < 1e-5


def test_bytes_as_frames() -> None:
    nodes = [op("Cast", "x", "f", to=TensorProto.FLOAT), op("Conv", "f w")]
    data = model(nodes, {"w": normal(4, 3, 3, 3)}, shape=(1, 3, 6, 8), kind=TensorProto.UINT8)
    frame = RNG.integers(0, 256, (3, 6, 8)).astype(np.uint8)
    got = ours(data, frame.transpose(1, 2, 0).copy())["y"]
    assert difference(got, theirs(data, frame[None])[0]) < 1e-5


def test_mean_and_std_of_bytes() -> None:
    data = model([op("Relu", "x")], shape=(1, 3, 6, 8))
    frame = RNG.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    got = ours(data, frame, mean=[0.1, 0.2, 0.3], std=0.5)["y"]
    expected = np.maximum((frame / 255 - [0.1, 0.2, 0.3]) / 0.5, 0).transpose(2, 0, 1)
    assert difference(got, expected) < 1e-5


def test_the_size_of_an_open_model_and_shapes_computed_from_it() -> None:
    consts = {
        "two": np.asarray(2, np.int64),
        "three": np.asarray(3, np.int64),
        "zero": ints(0),
        "k": ints(2, 2),
        "bc": ints(1, 4),
    }
    nodes = [
        op("Shape", "x", "s"), op("Gather", "s two", "h"), op("Gather", "s three", "w"),
        op("Mul", "h two", "h2"), op("Mul", "w two", "w2"), op("Cast", "h2", "h3", to=7),
        op("Unsqueeze", "h3 zero", "hu"), op("Unsqueeze", "w2 zero", "wu"),
        op("Concat", "bc hu wu", "size", axis=0),
        op("Resize", "x _ _ size", mode="linear"),
    ]  # fmt: skip
    data = model(nodes, consts, shape=("batch", 4, "height", "width"))
    with pytest.raises(InvalidArgumentError, match=r"Give size=\(height, width\)"):
        pvnet.from_onnx(data)
    frame = normal(4, 6, 10)
    assert difference(ours(data, frame, size=(6, 10))["y"], theirs(data, frame[None])[0]) < 1e-5
    with pytest.raises(InvalidArgumentError, match="another size"):
        pvnet.from_onnx(model([op("Relu", "x")]), size=(5, 5))


def test_an_if_whose_condition_is_known() -> None:
    branches = {}
    for name, kind in (("then_branch", "Relu"), ("else_branch", "Sigmoid")):
        value = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
        branches[name] = helper.make_graph([op(kind, "x", "b")], name, [], [value])
    consts = {"two": np.asarray(2, np.int64), "n": np.asarray(6, np.int64)}
    nodes = [
        op("Shape", "x", "s"),
        op("Gather", "s two", "h"),
        op("Equal", "h n", "c"),
        op("If", "c", **branches),
    ]
    check(model(nodes, consts))


def test_local_functions_are_opened() -> None:
    proto = onnx.load_from_string(
        model([op("Twice", "x", domain="own")], opset=17, domains=["own"])
    )
    body = [helper.make_node("Relu", ["a"], ["r"]), helper.make_node("Add", ["r", "a"], ["b"])]
    proto.functions.append(
        helper.make_function("own", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    )
    check(proto.SerializeToString())


def detector(*tail: onnx.NodeProto, outputs: str = "y", out_kind: int = TensorProto.INT64) -> bytes:
    rng = np.random.default_rng(2)
    w, v = (rng.standard_normal((n, 4, 3, 3)).astype(np.float32) for n in (6, 4))
    consts = {
        "w": w, "v": v, "n": ints(10), "s": ints(1, -1, 4),
        "t": ints(1, 6, -1), "thr": np.float32(0.5), "m": np.asarray([10], np.int64),
    }  # fmt: skip
    head = [op("Conv", "x w", "scores"), op("Conv", "x v", "boxes"), op("Sigmoid", "scores", "p")]
    return model([*head, *tail], consts, outputs=outputs, out_kind=out_kind)


def test_a_tail_is_cut_off_with_a_message() -> None:
    data = detector(
        op("Reshape", "boxes s", "b"), op("Exp", "b", "e"), op("Reshape", "p t", "q"),
        op("NonMaxSuppression", "e q m thr thr"),
    )  # fmt: skip
    [told] = imports(data)
    assert "NonMaxSuppression (1 node: /NonMaxSuppression/y)" in told
    frame = normal(4, 6, 8)
    got = ours(data, frame)
    assert list(got) == ["boxes", "q"], told
    assert all(name in told for name in got)
    p = theirs(detector(outputs="p", out_kind=1), frame[None])[0]
    assert difference(got["q"], p) < 1e-5


def test_argmax_leaves_the_scores() -> None:
    data = detector(op("ArgMax", "p", axis=1))
    [told] = imports(data)
    assert "The outputs are p." in told
    assert list(ours(data, normal(4, 6, 8))) == ["p"]


def test_lists_of_pixels_of_several_maps_end_a_network() -> None:
    consts = {"f": ints(1, 4, -1)}
    nodes = [
        op("Relu", "x", "a"),
        op("MaxPool", "x", "b", kernel_shape=[2, 2], strides=[2, 2]),
        op("Reshape", "a f", "af"),
        op("Reshape", "b f", "bf"),
        op("Concat", "af bf", "c", axis=2),
        op("Exp", "c"),
    ]
    data = model(nodes, consts)
    assert "The outputs are af, bf." in imports(data)[0]
    got = ours(data, normal(4, 6, 8))
    assert got["bf"].shape == (4, 3, 4)


def test_refusals_name_every_kind_of_operation_once() -> None:
    nodes = [
        op("Relu", "x", "r"),
        *(op("Exp", "r", f"e{i}") for i in range(5)),
        op("Sum", "e0 e1 e2 e3 e4", "s"),
        op("LRN", "r", "l", size=3),
        op("Erf", "r", "f"),
        op("Sum", "s l f"),
    ]
    with pytest.raises(UnsupportedError) as refused:
        pvnet.from_onnx(model(nodes))
    text = str(refused.value)
    assert "Exp (5 nodes: /Exp/e0, /Exp/e1, /Exp/e2 and 2 more): no such operation" in text
    assert "LRN (1 node: /LRN/l)" in text
    assert "Sum" not in text
    assert "outputs=[" in text
    ended = ours(model(nodes), normal(4, 6, 8), outputs=["r"])
    assert list(ended) == ["r"]


def test_a_part_of_a_pattern_alone_is_refused() -> None:
    with pytest.raises(
        UnsupportedError, match=r"Erf \(1 node: /Erf/y\): only as a part of a known"
    ):
        pvnet.from_onnx(model([op("Erf", "x")]))


def test_opsets_and_outputs_that_there_are_not() -> None:
    for opset in (9, 23):
        with pytest.raises(UnsupportedError, match=f"got {opset}, expected 11 to 22"):
            pvnet.from_onnx(model([op("Relu", "x")], opset=opset))
    with pytest.raises(InvalidArgumentError, match="no such tensor"):
        pvnet.from_onnx(model([op("Relu", "x")]), outputs=["z"])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pvnet.cli.__main__ import main

    source, out = tmp_path / "net.onnx", tmp_path / "net.safetensors"
    source.write_bytes(
        model(
            [op("Conv", "x w", "c"), op("ArgMax", "c")],
            {"w": normal(2, 3, 1, 1)},
            shape=("b", 3, "h", "w"),
        )
    )
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    words = ["import", str(source), "--out", str(out), "--size", "6x8", "--mean", "0.5", "--json"]
    assert main([*words, "--labels", str(tmp_path / "labels.txt"), "--name", "pets"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outputs"] == {"c": [2, 6, 8]}
    assert "ArgMax" in told["notes"][0]
    loaded = pvnet.load(out)
    assert json.loads(loaded.metadata["labels"]) == ["cat", "dog"]
    assert loaded.metadata["name"] == "pets"
    assert main(["import", str(source), "--out", str(out), "--size", "6"]) == 0
    assert "frame 3 x 6 x 6" in capsys.readouterr().out
    assert main(["import", str(source), "--out", str(out), "--size", "a"]) == 2
    before = out.read_bytes()
    assert main(["import", str(source), "--out", str(out)]) == 1
    assert out.read_bytes() == before


def test_a_network_can_be_cut_and_wired(tmp_path: Path) -> None:
    nodes, consts, last = [], {}, "x"
    for i in range(6):
        consts[f"w{i}"] = normal(4, 4, 3, 3) * 0.3
        nodes += [
            op("Conv", f"{last} w{i}", f"c{i}", pads=[1, 1, 1, 1]),
            op("Relu", f"c{i}", f"r{i}"),
        ]
        last = f"r{i}"
    imported = pvnet.from_onnx(model(nodes, consts, outputs=last))
    pvnet.save(imported, tmp_path / "m.safetensors")
    frame = normal(4, 6, 8)
    first = pvnet.compile(imported, backend="cpu").stream().tick(frame)[last]
    piped = pvnet.compile(pvnet.load(tmp_path / "m.safetensors").rewire("pipelined", stages=3))
    stream = piped.stream()
    late = [np.array(stream.tick(frame)[last]) for _ in range(3)][-1]
    assert np.array_equal(first, late)
    assert imported.rewire("predictive", stages=3).graph.n_stages == 3


def test_initializers_that_are_inputs_too_are_constants() -> None:
    proto = onnx.load_from_string(model([op("Conv", "x w")], {"w": normal(6, 4, 1, 1)}))
    proto.graph.input.append(helper.make_tensor_value_info("w", 1, [6, 4, 1, 1]))
    proto.graph.node.append(
        helper.make_node("Constant", [], ["unused"], value=numpy_helper.from_array(ints(1)))
    )
    check(proto.SerializeToString())
