"""Which converter each aten operation has (table CONVERTERS), and what to do about the others."""

from __future__ import annotations

from torch import fx

from pvnet.nn.torch_import import Converter, Importer, Refused, Value, arguments
from pvnet.nn.torch_import_acts import (
    act,
    clamp,
    elu,
    gelu,
    leaky_relu,
    prelu,
    softmax,
    softplus,
)
from pvnet.nn.torch_import_convs import batch_norm, conv, conv_of_vector, linear, transposed
from pvnet.nn.torch_import_maths import (
    arithmetic,
    concat,
    mean,
    negative,
    reciprocal,
    square,
)
from pvnet.nn.torch_import_norms import group_norm, instance_norm, layer_norm
from pvnet.nn.torch_import_pools import adaptive_pool, largest, pad, pool, upsample
from pvnet.nn.torch_import_views import same, view


def _item(im: Importer, node: fx.Node) -> Value:
    """One of several results; of norms and maxima only the first."""
    source, i = node.args
    found = im.values.get(source.name) if isinstance(source, fx.Node) else None
    if isinstance(found, list):
        return found[i]  # type: ignore[index]
    if i != 0:
        raise Refused("another result than the first one")
    return im.value(source)


def _written(im: Importer, node: fx.Node) -> Value:
    """A map that is overwritten as a whole."""
    a = arguments(node)
    x, y = a["src"].meta["val"], a["self"].meta["val"]
    if (x.shape, x.dtype) != (y.shape, y.dtype):
        raise Refused("a map is overwritten by one of another shape or type")
    return im.value(a["src"])


def _part(im: Importer, node: fx.Node) -> Value:
    del im, node
    raise Refused("a part of a map is changed in place", "Join parts by cat instead.")


def _dropout(im: Importer, node: fx.Node) -> Value:
    if arguments(node)["train"]:
        raise Refused("dropout that is active in eval mode", "Use nn.Dropout.")
    return im.value(node.args[0])


def _cast(im: Importer, node: fx.Node) -> Value:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if not (source.meta["val"].is_floating_point() and node.meta["val"].is_floating_point()):
        raise Refused("a map of whole numbers or truths", "Compute in floating point.")
    return im.value(source)


def _named(names: str, converter: Converter) -> dict[str, Converter]:
    """The same converter for several operations, each with its form in place."""
    split = names.split()
    places = (f"{n.split('.')[0]}_{n[n.find('.') :] if '.' in n else ''}" for n in split)
    return dict.fromkeys((f"aten.{n}" for n in (*split, *places)), converter)


CONVERTERS: dict[str, Converter] = {
    "<built-in function getitem>": _item,
    **_named("conv2d conv2d.padding conv3d conv3d.padding", conv),
    **_named("conv1d conv1d.padding", conv_of_vector),
    **_named("conv_transpose2d.input", transposed),
    **_named("linear", linear),
    **_named("batch_norm _native_batch_norm_legit_no_training", batch_norm),
    **_named("group_norm native_group_norm", group_norm),
    **_named("instance_norm", instance_norm),
    **_named("layer_norm native_layer_norm", layer_norm),
    **_named("relu", act("relu")),
    **_named("silu", act("silu")),
    **_named("sigmoid", act("sigmoid")),
    **_named("tanh", act("tanh")),
    **_named("mish", act("mish")),
    **_named("hardswish", act("hard_swish")),
    **_named("hardsigmoid", act("hard_sigmoid")),
    **_named("relu6 hardtanh clamp clamp_min clamp_max clip", clamp),
    **_named("leaky_relu rrelu", leaky_relu),
    **_named("elu selu celu", elu),
    **_named("gelu", gelu),
    **_named("softplus", softplus),
    **_named("prelu", prelu),
    **_named("softmax.int _softmax", softmax),
    **_named("add.Tensor add.Scalar", arithmetic("add")),
    **_named("sub.Tensor sub.Scalar rsub.Tensor rsub.Scalar", arithmetic("sub")),
    **_named("mul.Tensor mul.Scalar", arithmetic("mul")),
    **_named("div.Tensor div.Scalar", arithmetic("div")),
    **_named("neg", negative),
    **_named("reciprocal", reciprocal),
    **_named("pow.Tensor_Scalar square", square),
    **_named("cat", concat),
    **_named("mean mean.dim sum sum.dim_IntList", mean),
    **_named("amax max.dim", largest),
    **_named("max_pool2d max_pool3d", pool("max_pool")),
    **_named("avg_pool2d avg_pool3d", pool("avg_pool")),
    **_named("adaptive_avg_pool2d adaptive_avg_pool3d", adaptive_pool("avg_pool")),
    **_named("adaptive_max_pool2d adaptive_max_pool3d", adaptive_pool("max_pool")),
    **_named("pad", pad(None)),
    **_named("constant_pad_nd", pad("constant")),
    **_named("reflection_pad2d", pad("reflect")),
    **_named("replication_pad2d", pad("replicate")),
    **_named("upsample_nearest2d.vec upsample_nearest2d", upsample("nearest")),
    **_named("_upsample_nearest_exact2d.vec _upsample_nearest_exact2d", upsample("nearest-exact")),
    **_named("upsample_bilinear2d.vec upsample_bilinear2d", upsample("bilinear")),
    **_named("view reshape flatten.using_ints unflatten.int _unsafe_view", view),
    **_named("squeeze.dims squeeze.dim squeeze unsqueeze", view),
    **_named("permute transpose.int movedim.int movedim.intlist swapaxes t numpy_T", view),
    **_named("slice.Tensor select.int narrow index_select flip roll", view),
    **_named("expand expand_as view_as reshape_as repeat tile repeat_interleave.self_int", view),
    **_named("chunk split.Tensor split_with_sizes split.sizes unbind.int", view),
    **_named("tensor_split.sections tensor_split.indices", view),
    **_named("pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle", view),
    **_named("contiguous clone alias detach lift_fresh_copy", same),
    **_named("dropout feature_dropout alpha_dropout", _dropout),
    **_named("to.dtype to.dtype_layout to.device _to_copy float type_as", _cast),
    **_named("copy", _written),
    **_named("slice_scatter select_scatter as_strided_scatter index_put masked_fill.Scalar", _part),
}

_ATTENTION = "Cut the network in front of attention, or use a convolutional one."
_TAIL = "Return the maps in front of it, and decode them outside."
_CURES = {
    **dict.fromkeys(("matmul", "bmm", "baddbmm", "scaled_dot_product_attention"), _ATTENTION),
    **dict.fromkeys(("einsum", "_native_multi_head_attention"), _ATTENTION),
    **dict.fromkeys(("argmax", "topk", "sort", "gather", "nonzero", "nms", "stack"), _TAIL),
    **dict.fromkeys(("cumsum", "index.Tensor", "where", "grid_sampler_2d"), _TAIL),
    **dict.fromkeys(("gru", "lstm", "rnn_tanh"), "Write the state as pvnet.Graph feedback."),
}


def cure_of(name: str) -> str:
    """What to do about an operation that has no converter."""
    short = name.removeprefix("aten.")
    return _CURES.get(short) or _CURES.get(short.split(".")[0]) or ""


