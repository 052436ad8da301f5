"""How each aten operation becomes nodes of a graph (table CONVERTERS)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from pvnet.nn.torch_import import Importer, Refused, Value

Converter = Callable[[Importer, fx.Node], Value]


def arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of an operation by the name its schema gives, defaults filled in."""
    schema = node.target._schema  # type: ignore[union-attr]
    out = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    out.update({a.name: v for a, v in zip(schema.arguments, node.args)})
    out.update(node.kwargs)
    return out


def map_shape(node: fx.Node) -> tuple[int, int, int]:
    """(c, h, w) of the result of an operation on images or clips."""
    shape = node.meta["val"].shape
    return int(shape[1]), int(shape[-2]), int(shape[-1])


def _sizes(values: int | Sequence[int], dims: int, *, time: int) -> tuple[int, int, int]:
    """(time, height, width) of a size argument for images or clips."""
    n = dims - 2
    listed = [values] * n if isinstance(values, int) else list(values)
    listed = listed * n if len(listed) == 1 else listed
    full = [time, *listed] if n == 2 else listed
    return full[0], full[1], full[2]


def _maps_only(x: Value) -> None:
    if x.dims not in (4, 5):
        raise Refused("the operand is flattened, expected a map")


def _check_time(im: Importer, kernel: int, stride: int, padding: int) -> None:
    if padding and kernel == 1:
        raise Refused("padding in time of a temporal kernel of 1")
    if (kernel > 1 or stride > 1) and not im.causal:
        raise Refused(
            f"temporal kernel {kernel} and stride {stride} look ahead or leave out frames; "
            "pass causal=True to pad the past instead"
        )


def _conv(im: Importer, node: fx.Node) -> Value:
    a = arguments(node)
    x, weight = im.value(a["input"]), im.tensor(a["weight"])
    bias = im.tensor(a["bias"])
    assert weight is not None
    _maps_only(x)
    if weight.dim() != x.dims:
        raise Refused(f"a {weight.dim() - 2}D convolution of a tensor with {x.dims} dimensions")
    if weight.dim() == 4:
        weight = weight.unsqueeze(2)
    kernel = tuple(int(k) for k in weight.shape[2:])
    stride = _sizes(a["stride"], x.dims, time=1)
    dilation = _sizes(a["dilation"], x.dims, time=1)
    padding = _same(a["padding"], kernel, dilation, x.dims)
    _check_time(im, kernel[0], stride[0], padding[0])
    attrs = {
        "out": int(weight.shape[0]),
        "kernel": list(kernel),
        "stride": list(stride),
        "padding": list(padding[1:]),
        "dilation": list(dilation),
        "groups": int(a["groups"]),
        "bias": bias is not None,
    }
    y = im.add(node, "conv3d", [x], attrs, map_shape(node))
    im.weights[f"{y.node}.weight"] = weight
    if bias is not None:
        im.weights[f"{y.node}.bias"] = bias
    return y


def _same(
    padding: Any, kernel: Sequence[int], dilation: Sequence[int], dims: int
) -> tuple[int, int, int]:
    """Padding as numbers; torch also takes "valid" and "same"."""
    if padding == "valid":
        return 0, 0, 0
    if padding != "same":
        return _sizes(padding, dims, time=0)
    total = [(k - 1) * d for k, d in zip(kernel, dilation)]
    if any(t % 2 for t in total[1:]):
        raise Refused('padding "same" of an even kernel is lopsided')
    return total[0], total[1] // 2, total[2] // 2


def _batch_norm(im: Importer, node: fx.Node) -> Value:
    a = arguments(node)
    x = im.value(a["input"])
    if a.get("training"):
        raise Refused("batch norm with the statistics of the batch")
    mean, var = im.tensor(a["running_mean"]), im.tensor(a["running_var"])
    if mean is None or var is None:
        raise Refused("batch norm without running statistics")
    _maps_only(x)
    eps = float(a["eps"])
    spec = im.fusable(a["input"])
    if spec is not None and spec["op"] == "conv3d" and not spec["attrs"].get("norm"):
        spec["attrs"] |= {"norm": True, "norm_eps": eps}
        y = x
    else:
        # A batch norm of its own is a 1x1 convolution of every channel alone.
        c = x.shape[0]
        attrs = {"out": c, "kernel": [1, 1, 1], "groups": c, "bias": False}
        y = im.add(node, "conv3d", [x], {**attrs, "norm": True, "norm_eps": eps}, x.shape)
        im.weights[f"{y.node}.weight"] = torch.ones_like(mean).reshape(c, 1, 1, 1, 1)
    weight, bias = im.tensor(a["weight"]), im.tensor(a["bias"])
    im.weights[f"{y.node}.norm.running_mean"] = mean
    im.weights[f"{y.node}.norm.running_var"] = var
    im.weights[f"{y.node}.norm.weight"] = torch.ones_like(mean) if weight is None else weight
    im.weights[f"{y.node}.norm.bias"] = torch.zeros_like(mean) if bias is None else bias
    return y


def _act(act: str) -> Converter:
    def convert(im: Importer, node: fx.Node) -> Value:
        source = node.args[0]
        x = im.value(source)
        if act == "softmax":
            dim = int(arguments(node)["dim"])
            if dim % x.dims != 1 or (x.dims == 2 and x.shape[1:] != (1, 1)):
                raise Refused(f"softmax over dimension {dim}, expected the channels (1)")
        assert isinstance(source, fx.Node)
        spec = im.fusable(source)
        if spec is None or act == "softmax":
            return im.add(node, "act", [x], {"act": act}, x.shape)
        spec["attrs"]["act"] = act
        return x

    return convert


def _pool(op: str) -> Converter:
    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        x = im.value(node.args[0])
        _maps_only(x)
        kernel = _sizes(a["kernel_size"], x.dims, time=1)
        stride = _sizes(a["stride"], x.dims, time=1) if a["stride"] else kernel
        padding = _sizes(a["padding"], x.dims, time=0)
        if op == "max_pool" and set(_sizes(a["dilation"], x.dims, time=1)) != {1}:
            raise Refused("dilated pooling")
        if a["divisor_override"] if op == "avg_pool" else False:
            raise Refused("divisor_override")
        _check_time(im, kernel[0], stride[0], padding[0])
        sizes = zip(x.shape[1:], kernel[1:], stride[1:], padding[1:])
        expected = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
        if map_shape(node)[1:] != expected:
            raise Refused("ceil_mode that adds a row or column")
        attrs = {"kernel": list(kernel), "stride": list(stride), "padding": list(padding[1:])}
        if op == "avg_pool" and not a["count_include_pad"]:
            attrs["count_include_pad"] = False  # type: ignore[assignment]
        return im.add(node, op, [x], attrs, map_shape(node))

    return convert


def _adaptive_pool(im: Importer, node: fx.Node) -> Value:
    a = arguments(node)
    x = im.value(node.args[0])
    size = _sizes(a["output_size"], x.dims, time=1)
    if size != (1, 1, 1):
        raise Refused(f"adaptive pooling to {list(a['output_size'])}, expected 1")
    return _global_pool(im, node, x, over_time=x.dims == 5)


def _global_pool(im: Importer, node: fx.Node, x: Value, *, over_time: bool) -> Value:
    if over_time and x.ticks > 1 and not im.causal:
        raise Refused("pooling over all time; pass causal=True to pool over the last firings")
    window = x.ticks if over_time else 1
    return im.add(node, "global_pool", [x], {"window": window}, (x.shape[0], 1, 1))


def _mean(im: Importer, node: fx.Node) -> Value:
    a = arguments(node)
    x = im.value(node.args[0])
    _maps_only(x)
    dims = sorted(d % x.dims for d in a["dim"] or range(x.dims))
    if dims not in ([x.dims - 2, x.dims - 1], list(range(2, x.dims))):
        raise Refused(f"mean over dimensions {dims}, expected height and width")
    return _global_pool(im, node, x, over_time=x.dims == 5 and 2 in dims)


def _join(op: str) -> Converter:
    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        if op != "concat" and not all(isinstance(v, fx.Node) for v in (a["self"], a["other"])):
            raise Refused("an operand is a number, expected two maps")
        if op == "add" and a["alpha"] != 1:
            raise Refused("add with alpha")
        xs = [im.value(v) for v in (a["tensors"] if op == "concat" else (a["self"], a["other"]))]
        result = node.meta["val"]
        if op == "concat" and int(a["dim"]) % result.dim() != 1:
            raise Refused(f"cat over dimension {a['dim']}, expected the channels (1)")
        if any(x.dims == 2 and x.shape[1:] != (1, 1) for x in xs):
            raise Refused("an operand is a flattened map")
        if op == "add" and len({x.shape for x in xs}) != 1:
            raise Refused("add of maps of different shape")
        if result.dim() == 2:
            return im.add(node, op, xs, {}, (int(result.shape[1]), 1, 1))
        if any(x.dims == 2 for x in xs):
            raise Refused("a flattened operand beside a map")
        return im.add(node, op, xs, {}, map_shape(node))

    return convert


def _linear(im: Importer, node: fx.Node) -> Value:
    a = arguments(node)
    x, weight, bias = im.value(a["input"]), im.tensor(a["weight"]), im.tensor(a["bias"])
    assert weight is not None
    if x.dims != 2:
        raise Refused(f"linear over the last of {x.dims} dimensions, expected a flattened map")
    attrs = {"out": int(weight.shape[0]), "bias": bias is not None}
    y = im.add(node, "linear", [x], attrs, (int(weight.shape[0]), 1, 1))
    im.weights[f"{y.node}.weight"] = weight
    if bias is not None:
        im.weights[f"{y.node}.bias"] = bias
    return y


def _reshape(im: Importer, node: fx.Node) -> Value:
    """Flatten, view, reshape, squeeze: [b, c, h, w] may become [b, c * h * w], and back."""
    x, result = im.value(node.args[0]), node.meta["val"]
    c, h, w = x.shape
    one_frame = x.dims != 5 or int(node.args[0].meta["val"].shape[2]) == 1  # type: ignore[union-attr]
    if tuple(result.shape[1:]) == (c * h * w,) and one_frame:
        return Value(x.node, x.shape, 2, x.ticks)
    if tuple(result.shape[1:]) == (c, h, w) and one_frame:
        return Value(x.node, x.shape, 4, x.ticks)
    source: Tensor = node.args[0].meta["val"]  # type: ignore[union-attr]
    if tuple(result.shape) == tuple(source.shape):
        return x
    raise Refused(
        f"reshape from {list(source.shape)} to {list(result.shape)}, expected a map flattened to "
        "[b, c * h * w]"
    )


def _upsample(mode: str) -> Converter:
    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        x = im.value(node.args[0])
        if a.get("align_corners"):
            raise Refused("bilinear interpolation with align_corners=True")
        shape = map_shape(node)
        for n, m, scale in zip(x.shape[1:], shape[1:], _scales(a)):
            if scale is not None and n * scale != m:
                raise Refused(f"scale factor {scale} of size {n}, expected a whole size")
        return im.add(node, "upsample", [x], {"size": list(shape[1:]), "mode": mode}, shape)

    return convert


def _scales(a: dict[str, Any]) -> tuple[float | None, float | None]:
    if a.get("scale_factors"):
        return a["scale_factors"][0], a["scale_factors"][1]
    return a.get("scales_h"), a.get("scales_w")


def _first(im: Importer, node: fx.Node) -> Value:
    """The result of an operation that also returns what only its gradient needs."""
    if node.args[1] != 0:
        raise Refused("another result than the first one")
    return im.value(node.args[0])


def _written(im: Importer, node: fx.Node) -> Value:
    """A map that is overwritten as a whole."""
    a = arguments(node)
    x, y = a["src"].meta["val"], a["self"].meta["val"]
    if (x.shape, x.dtype) != (y.shape, y.dtype):
        raise Refused("a map is overwritten by one of another shape or type")
    return im.value(a["src"])


def _expanded(im: Importer, node: fx.Node) -> Value:
    """A map that is repeated, where nothing is."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if source.meta["val"].shape != node.meta["val"].shape:
        raise Refused("a map is repeated")
    return im.value(source)


def _whole(im: Importer, node: fx.Node) -> Value:
    """A slice, where it is all there is."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if source.meta["val"].shape != node.meta["val"].shape or arguments(node)["step"] != 1:
        raise Refused("a part of a map")
    return im.value(source)


def _part(im: Importer, node: fx.Node) -> Value:
    del im, node
    raise Refused("a part of a map is changed in place")


def _same_value(im: Importer, node: fx.Node) -> Value:
    return im.value(node.args[0])


def _dropout(im: Importer, node: fx.Node) -> Value:
    if arguments(node)["train"]:
        raise Refused("dropout that is active in eval mode")
    return im.value(node.args[0])


CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(("aten.conv2d", "aten.conv2d.padding"), _conv),
    **dict.fromkeys(("aten.conv3d", "aten.conv3d.padding"), _conv),
    "aten.batch_norm": _batch_norm,
    "aten._native_batch_norm_legit_no_training": _batch_norm,
    "<built-in function getitem>": _first,
    "aten.copy": _written,
    "aten.expand": _expanded,
    "aten.slice.Tensor": _whole,
    **dict.fromkeys(
        ("aten.slice_scatter", "aten.select_scatter", "aten.as_strided_scatter"), _part
    ),
    **dict.fromkeys(("aten.index_put", "aten.masked_fill.Scalar"), _part),
    **dict.fromkeys(("aten.relu", "aten.relu_"), _act("relu")),
    **dict.fromkeys(("aten.silu", "aten.silu_"), _act("silu")),
    **dict.fromkeys(("aten.sigmoid", "aten.sigmoid_"), _act("sigmoid")),
    "aten.softmax.int": _act("softmax"),
    **dict.fromkeys(("aten.max_pool2d", "aten.max_pool3d"), _pool("max_pool")),
    **dict.fromkeys(("aten.avg_pool2d", "aten.avg_pool3d"), _pool("avg_pool")),
    **dict.fromkeys(("aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d"), _adaptive_pool),
    "aten.mean.dim": _mean,
    "aten.cat": _join("concat"),
    **dict.fromkeys(("aten.add.Tensor", "aten.add_.Tensor"), _join("add")),
    **dict.fromkeys(("aten.mul.Tensor", "aten.mul_.Tensor"), _join("mul")),
    "aten.linear": _linear,
    **dict.fromkeys(("aten.flatten.using_ints", "aten.view", "aten.reshape"), _reshape),
    **dict.fromkeys(("aten.squeeze.dims", "aten.squeeze.dim", "aten.squeeze"), _reshape),
    "aten.unsqueeze": _reshape,
    **dict.fromkeys(("aten.dropout", "aten.dropout_", "aten.feature_dropout"), _dropout),
    **dict.fromkeys(
        ("aten.upsample_nearest2d.vec", "aten.upsample_nearest2d"), _upsample("nearest")
    ),
    **dict.fromkeys(
        ("aten.upsample_bilinear2d.vec", "aten.upsample_bilinear2d"), _upsample("bilinear")
    ),
    **dict.fromkeys(("aten.contiguous", "aten.clone", "aten.alias", "aten.detach"), _same_value),
    **dict.fromkeys(("aten.detach_", "aten.lift_fresh_copy"), _same_value),
}
