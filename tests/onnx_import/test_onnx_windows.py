"""Convolutions, transposed convolutions, pools and resizes equal ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnx_models as om
from onnx_models import OPSETS, check, ints, model, normal, op

CONVS = {
    "plain": {},
    "pads": {"pads": [1, 0, 2, 1]},
    "strided": {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    "same_upper": {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same_lower": {"strides": [2, 3], "auto_pad": "SAME_LOWER"},
    "valid": {"strides": [1, 2], "auto_pad": "VALID"},
    "dilated": {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
    "grouped": {"group": 2, "pads": [1, 1, 1, 1]},
    "depthwise": {"group": 4, "strides": [2, 2], "auto_pad": "SAME_UPPER"},
}


@pytest.mark.parametrize("opset", OPSETS)
def test_a_convolution_of_every_opset(opset: int) -> None:
    consts = {"w": normal(6, 4, 3, 3), "b": normal(6)}
    check(model([op("Conv", "x w b", pads=[1, 1, 1, 1])], consts, opset=opset))


@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_with(name: str, bias: bool) -> None:
    attrs = CONVS[name]
    consts = {"w": normal(8, 4 // attrs.get("group", 1), 3, 2), "b": normal(8)}
    check(model([op("Conv", "x w b" if bias else "x w", **attrs)], consts, shape=(1, 4, 7, 9)))


TRANSPOSED = {
    "as_a_gan": {"k": 4, "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "exact": {"k": 2, "strides": [2, 2]},
    "unet": {"k": 3, "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    "no_stride": {"k": 3, "pads": [1, 1, 1, 1]},
    "gaps": {"k": 2, "strides": [3, 3]},
    "wide": {"k": 5, "strides": [2, 2], "pads": [2, 1, 0, 3]},
    "dilated": {"k": 3, "strides": [2, 2], "dilations": [2, 2], "pads": [1, 1, 1, 1]},
    "grouped": {"k": 4, "strides": [2, 2], "group": 2, "pads": [1, 1, 1, 1]},
    "same_upper": {"k": 3, "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same_lower": {"k": 3, "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "shaped": {"k": 3, "strides": [2, 2], "output_shape": [11, 14]},
    "cropped_far": {"k": 8, "strides": [2, 2], "pads": [5, 6, 7, 3]},
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_a_transposed_convolution(name: str) -> None:
    attrs = dict(TRANSPOSED[name])
    k, groups = attrs.pop("k"), attrs.get("group", 1)
    consts = {"w": normal(4, 6 // groups, k, k), "b": normal(6)}
    check(model([op("ConvTranspose", "x w b", **attrs)], consts))


POOLS = {
    "plain": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "lopsided": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    "ceiled": {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    "ceiled_and_padded": {
        "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1,
    },
    "ceiled_too_far": {"kernel_shape": [1, 1], "strides": [3, 2], "ceil_mode": 1},
    "same_upper": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same_lower": {"kernel_shape": [2, 3], "strides": [1, 2], "auto_pad": "SAME_LOWER"},
}  # fmt: skip


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "AveragePool counted"])
def test_a_pool(kind: str, name: str) -> None:
    counted = {"count_include_pad": 1} if "counted" in kind else {}
    # The map is odd, so that what ceil_mode adds shows.
    nodes = [op(kind.split()[0], "x", **POOLS[name], **counted)]
    check(model(nodes, shape=(1, 3, 8, 11), opset=22))


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_a_global_pool(kind: str) -> None:
    check(model([op(kind, "x")]))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("kind", "axes"),
    [
        ("Mean", (2, 3)),
        ("Sum", (2, 3)),
        ("Max", (-1, -2)),
        ("Mean", (1,)),
        ("Sum", (1,)),
        ("Mean", (1, 2, 3)),
    ],
)
@pytest.mark.parametrize("keep", [0, 1])
def test_a_reduction(kind: str, axes: tuple[int, ...], keep: int, opset: int) -> None:
    as_input = opset >= (13 if kind == "Sum" else 18)
    if as_input:
        nodes, consts = [op(f"Reduce{kind}", "x a", keepdims=keep)], {"a": ints(*axes)}
    else:
        nodes, consts = [op(f"Reduce{kind}", "x", keepdims=keep, axes=axes)], {}
    check(model(nodes, consts, opset=opset))


SCALES = {"twice": 2.0, "three_times": 3.0}
RESIZES = [
    ("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "round_prefer_floor"),
    ("nearest", "half_pixel", "floor"), ("nearest", "asymmetric", "ceil"),
    ("nearest", "asymmetric", "round_prefer_ceil"), ("nearest", "half_pixel", "round_prefer_ceil"),
    ("linear", "half_pixel", ""), ("linear", "pytorch_half_pixel", ""),
    ("linear", "align_corners", ""), ("linear", "asymmetric", ""),
    ("cubic", "half_pixel", ""), ("cubic", "asymmetric", ""),
]  # fmt: skip


def resize_attrs(mode: str, coordinates: str, rounding: str) -> dict[str, str]:
    attrs = {"mode": mode, "coordinate_transformation_mode": coordinates}
    return attrs | ({"nearest_mode": rounding} if rounding else {})


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", RESIZES, ids=lambda k: "-".join(k).strip("-"))
def test_a_resize_by_a_whole_factor(kind: tuple[str, str, str], scale: str) -> None:
    s = SCALES[scale]
    consts = {"s": np.array([1, 1, s, s], np.float32)}
    check(model([op("Resize", "x _ s", **resize_attrs(*kind))], consts, shape=(1, 2, 9, 11)))


@pytest.mark.parametrize(
    "kind", ["linear-half_pixel-", "linear-align_corners-", "nearest-asymmetric-floor"]
)
@pytest.mark.parametrize("size", [(9, 5), (12, 20), (3, 4), (1, 1)])
def test_a_resize_to_a_size(kind: str, size: tuple[int, int]) -> None:
    attrs = resize_attrs(*kind.split("-"))
    consts = {"n": ints(1, 4, *size)}
    if kind.startswith("nearest") and size == (9, 5):
        pytest.skip("ONNX Runtime rounds the ratio of these sides to f32")
    check(model([op("Resize", "x _ _ n", **attrs)], consts))


@pytest.mark.parametrize("opset", OPSETS)
def test_a_resize_of_every_opset(opset: int) -> None:
    roi = "roi" if opset < 13 else "_"
    consts = {"roi": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 2], np.float32)}
    attrs = resize_attrs("nearest", "asymmetric", "floor")
    check(model([op("Resize", f"x {roi} s", **attrs)], consts, opset=opset))


def test_a_resize_of_named_axes() -> None:
    nodes = [op("Resize", "x _ _ n", mode="linear", axes=[2, 3])]
    check(model(nodes, {"n": ints(12, 24)}, opset=18))


def test_a_halved_picture_by_nearest() -> None:
    consts = {"s": np.array([1, 1, 0.5, 0.5], np.float32)}
    check(model([op("Resize", "x _ s", **resize_attrs("nearest", "asymmetric", "floor"))], consts))


PADS = {"constant": 0.0, "reflect": None, "edge": None}


@pytest.mark.parametrize("mode", PADS)
@pytest.mark.parametrize("pads", [(1, 2, 3, 1), (0, 0, 1, 1)])
def test_a_pad(mode: str, pads: tuple[int, ...]) -> None:
    full = ints(0, 0, *pads[:2], 0, 0, *pads[2:])
    check(model([op("Pad", "x p", mode=mode)], {"p": full}))


def test_a_pad_with_a_value_and_a_crop() -> None:
    consts = {
        "p": ints(0, 0, 1, 0, 0, 0, 0, 2),
        "v": np.float32(1.5),
        "q": ints(0, 0, -1, 0, 0, 0, -2, -1),
    }
    check(model([op("Pad", "x p v", "a"), op("Pad", "a q")], consts))


def test_a_pad_of_named_axes() -> None:
    check(model([op("Pad", "x p _ a")], {"p": ints(1, 2), "a": ints(3)}, opset=18))


def test_the_whole_run_on_the_fast_backend() -> None:
    consts = {"w": normal(6, 4, 3, 3), "b": normal(6)}
    nodes = [op("Conv", "x w b", "a", auto_pad="SAME_UPPER", strides=[2, 2]), op("Relu", "a")]
    data = model(nodes, consts)
    frame = normal(4, 6, 8)
    got = om.ours(data, frame, backend="cpu")["y"]
    assert om.difference(got, om.theirs(data, frame[None])[0]) < 1e-5
