"""Operations whose inputs are all known: numpy computes them while the file is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.refusal import Refused

Array = NDArray[Any]
Inputs = Sequence[Any]  # arrays, None where one is left out
MOST_ELEMENTS = 2**28  # a constant that the file makes itself, such as by Expand

# TensorProto.DataType -> numpy; what numpy lacks is held in the next larger type.
DTYPES = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float32, 11: np.float64, 12: np.uint32, 13: np.uint64, 16: np.float32,
}  # fmt: skip


def fold(node: Node, inputs: Inputs) -> list[Array] | None:
    """The outputs of an operation on constants; None: there is no rule for it.

    Raises:
        Refused: the constants do not fit the operation.
    """
    rule = RULES.get(node.op)
    if rule is None:
        return None
    try:
        with np.errstate(all="ignore"):
            result = rule(node, inputs)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"its constants do not fit ({type(error).__name__}: {error})") from error
    return [np.asarray(r) for r in (result if isinstance(result, list) else [result])]


def given(node: Node, inputs: Inputs, at: int, key: str) -> list[int] | None:
    """Integers that are an attribute in old opsets and an input in new ones."""
    if len(inputs) > at and inputs[at] is not None:
        return [int(n) for n in np.asarray(inputs[at]).ravel()]
    value = node.attrs.get(key)
    return None if value is None else [int(n) for n in np.atleast_1d(value)]


def new_shape(old: Sequence[int], wanted: Sequence[int], *, allow_zero: bool) -> list[int]:
    """The shape that Reshape means by 0 and -1.

    Raises:
        Refused: the elements do not fit.
    """
    shape = [
        old[i] if n == 0 and not allow_zero and i < len(old) else int(n)
        for i, n in enumerate(wanted)
    ]
    if -1 in shape:
        rest = -math.prod(shape)
        if shape.count(-1) > 1 or rest <= 0 or math.prod(old) % rest:
            raise Refused(f"a reshape from {list(old)} to {list(wanted)} does not fit")
        shape[shape.index(-1)] = math.prod(old) // rest
    if math.prod(shape) != math.prod(old) or min(shape, default=1) < 0:
        raise Refused(f"a reshape from {list(old)} to {list(wanted)} does not fit")
    return shape


def slices(node: Node, inputs: Inputs, shape: Sequence[int]) -> list[tuple[int, range]]:
    """(dimension, positions) of a Slice."""
    starts, ends = given(node, inputs, 1, "starts"), given(node, inputs, 2, "ends")
    if starts is None or ends is None or len(starts) != len(ends):
        raise Refused("a slice without starts and ends")
    axes = given(node, inputs, 3, "axes") or list(range(len(starts)))
    steps = given(node, inputs, 4, "steps") or [1] * len(starts)
    return [
        (axis % len(shape), range(*slice(s, _end(e, step), step).indices(shape[axis])))
        for s, e, axis, step in zip(starts, ends, axes, steps)
    ]


def _end(end: int, step: int) -> int | None:
    return None if step < 0 and end < -(2**31) + 2 else end


def splits(node: Node, inputs: Inputs, length: int) -> list[int]:
    """The lengths of the parts of a Split."""
    sizes = given(node, inputs, 1, "split")
    if sizes is None:
        n = len(node.outputs)
        part = -(-length // n)
        sizes = [min(part, max(length - i * part, 0)) for i in range(n)]
    if sum(sizes) != length or min(sizes) < 1:
        raise Refused(f"a split of {length} into {sizes}")
    return sizes


def quantised(x: Array, node: Node, inputs: Inputs) -> Array:
    """DequantizeLinear: (x - zero point) * scale, for a tensor, a channel or blocks."""
    scale = np.asarray(inputs[1], np.float32)
    zero = np.asarray(0 if len(inputs) < 3 or inputs[2] is None else inputs[2])
    axis, block = int(node.attrs.get("axis", 1)), int(node.attrs.get("block_size", 0))
    parts = [np.asarray(v, np.float32) for v in (scale, zero)]
    if block:
        parts = [np.repeat(v, block, axis) if v.ndim else v for v in parts]
        parts = [np.take(v, np.arange(x.shape[axis]), axis) if v.ndim else v for v in parts]
    elif scale.size > 1:
        form = [1] * x.ndim
        form[axis] = -1
        parts = [v.reshape(form) if v.ndim else v for v in parts]
    else:
        parts = [v.reshape(()) for v in parts]
    return np.asarray((np.asarray(x, np.float32) - parts[1]) * parts[0], np.float32)


def _quantise(node: Node, inputs: Inputs) -> Array:
    x, scale = np.asarray(inputs[0], np.float32), np.asarray(inputs[1], np.float32)
    zero = np.asarray(0, np.uint8) if len(inputs) < 3 or inputs[2] is None else inputs[2]
    if scale.size > 1:
        form = [1] * x.ndim
        form[int(node.attrs.get("axis", 1))] = -1
        scale, zero = scale.reshape(form), zero.reshape(form)
    else:
        scale, zero = scale.reshape(()), zero.reshape(())
    limits = np.iinfo(zero.dtype)
    rounded = np.rint(x / scale) + zero
    return np.asarray(np.clip(rounded, limits.min, limits.max).astype(zero.dtype))


def _capped(shape: Sequence[int]) -> list[int]:
    if math.prod(shape) > MOST_ELEMENTS or min(shape, default=0) < 0:
        raise Refused(f"it makes a constant of shape {list(shape)}")
    return list(shape)


def _constant(node: Node, _: Inputs) -> Array:
    names = ("value", "value_float", "value_int", "value_floats", "value_ints")
    found = next((node.attrs[n] for n in names if n in node.attrs), None)
    if found is None:
        raise Refused("a constant of text, or without a value")
    if "value" in node.attrs:
        return np.asarray(found)
    return np.asarray(found, np.float32 if "float" in next(iter(node.attrs)) else np.int64)


def _constant_of_shape(node: Node, inputs: Inputs) -> Array:
    value = np.asarray(node.attrs.get("value", np.zeros(1, np.float32)))
    return np.full(_capped([int(n) for n in np.ravel(inputs[0])]), value.ravel()[0], value.dtype)


def _range(_: Node, inputs: Inputs) -> Array:
    start, end, step = (np.asarray(v).ravel()[0] for v in inputs[:3])
    _capped([max(math.ceil((float(end) - float(start)) / float(step)), 0)])
    return np.arange(start, end, step, dtype=np.asarray(inputs[0]).dtype)


def _expand(_: Node, inputs: Inputs) -> Array:
    x, wanted = np.asarray(inputs[0]), [int(n) for n in np.ravel(inputs[1])]
    return np.broadcast_to(x, _capped(np.broadcast_shapes(x.shape, tuple(_capped(wanted)))))


def _tile(_: Node, inputs: Inputs) -> Array:
    x, repeats = np.asarray(inputs[0]), [int(n) for n in np.ravel(inputs[1])]
    _capped([n * r for n, r in zip(x.shape, repeats)])
    return np.tile(x, repeats)


def _slice(node: Node, inputs: Inputs) -> Array:
    x = np.asarray(inputs[0])
    for axis, where in slices(node, inputs, x.shape):
        x = np.take(x, list(where), axis)
    return x


def _reshape(node: Node, inputs: Inputs) -> Array:
    x = np.asarray(inputs[0])
    wanted = [int(n) for n in np.ravel(inputs[1])]
    return x.reshape(new_shape(x.shape, wanted, allow_zero=bool(node.attrs.get("allowzero", 0))))


def _flatten(node: Node, inputs: Inputs) -> Array:
    x, axis = np.asarray(inputs[0]), int(node.attrs.get("axis", 1))
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _squeeze(node: Node, inputs: Inputs) -> Array:
    axes = given(node, inputs, 1, "axes")
    return np.squeeze(np.asarray(inputs[0]), None if axes is None else tuple(axes))


def _unsqueeze(node: Node, inputs: Inputs) -> Array:
    return np.expand_dims(inputs[0], tuple(given(node, inputs, 1, "axes") or ()))


def _split(node: Node, inputs: Inputs) -> list[Array]:
    x, axis = np.asarray(inputs[0]), int(node.attrs.get("axis", 0))
    return np.split(x, np.cumsum(splits(node, inputs, x.shape[axis]))[:-1], axis)


def _cast(node: Node, inputs: Inputs) -> Array:
    kind = DTYPES.get(int(node.attrs.get("to", 0)))
    if kind is None:
        raise Refused(f"a cast to type {node.attrs.get('to')}")
    return np.asarray(inputs[0]).astype(kind)


def _reduce(function: Callable[..., Any]) -> Callable[[Node, Inputs], Array]:
    def rule(node: Node, inputs: Inputs) -> Array:
        x, axes = np.asarray(inputs[0]), given(node, inputs, 1, "axes")
        if axes is None and node.attrs.get("noop_with_empty_axes", 0):
            return x
        keep = bool(node.attrs.get("keepdims", 1))
        where = None if axes is None else tuple(axes)
        return np.asarray(function(x, axis=where, keepdims=keep)).astype(x.dtype)

    return rule


def _divide(a: Array, b: Array) -> Array:
    if np.issubdtype(a.dtype, np.integer):
        return np.asarray(np.trunc(a / b)).astype(a.dtype)
    return np.asarray(a / b)


def _of(function: Callable[..., Any]) -> Callable[[Node, Inputs], Array]:
    """A function of numpy that takes the inputs alone; the result is of the first one's type."""

    def rule(_: Node, inputs: Inputs) -> Array:
        result = np.asarray(function(*inputs))
        first = np.asarray(inputs[0]).dtype
        return result if result.dtype == bool else result.astype(first)

    return rule


def _many(function: Callable[..., Any]) -> Callable[[Node, Inputs], Array]:
    def rule(_: Node, inputs: Inputs) -> Array:
        result = np.asarray(inputs[0])
        for other in inputs[1:]:
            result = function(result, other)
        return result

    return rule


def _clip(node: Node, inputs: Inputs) -> Array:
    """Bounds are attributes or inputs."""
    x, given_bounds = np.asarray(inputs[0]), [*inputs[1:], None, None]
    low, high = (
        node.attrs.get(key) if bound is None else bound
        for key, bound in zip(("min", "max"), given_bounds)
    )
    return np.asarray(np.clip(x, low, high)).astype(x.dtype)


def _batch_norm(node: Node, inputs: Inputs) -> Array:
    """Weights that are normalised over themselves, or by given statistics."""
    x, scale, bias, mean, var = (np.asarray(v, np.float32) for v in inputs[:5])
    form = [1, -1] + [1] * (x.ndim - 2)
    if node.attrs.get("training_mode", 0):
        others = tuple(i for i in range(x.ndim) if i != 1)
        mean, var = x.mean(others), x.var(others)
    normed = (x - mean.reshape(form)) / np.sqrt(
        var.reshape(form) + float(node.attrs.get("epsilon", 1e-5))
    )
    return np.asarray(normed * scale.reshape(form) + bias.reshape(form))


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _shape(node: Node, inputs: Inputs) -> Array:
    return shape_of(node, np.asarray(inputs[0]).shape)


def shape_of(node: Node, shape: Sequence[int]) -> Array:
    """The result of Shape, with start and end."""
    end = node.attrs.get("end")
    return np.asarray(shape[int(node.attrs.get("start", 0)) : end], np.int64)


RULES: dict[str, Callable[[Node, Inputs], Any]] = {
    "Constant": _constant, "ConstantOfShape": _constant_of_shape, "Range": _range,
    "Expand": _expand, "Tile": _tile, "Slice": _slice, "Reshape": _reshape, "Flatten": _flatten,
    "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Split": _split, "Cast": _cast, "Shape": _shape,
    "Size": lambda _, v: np.asarray(v[0].size, np.int64),
    "CastLike": lambda _, v: v[0].astype(v[1].dtype),
    "Identity": lambda _, v: v[0], "Dropout": lambda _, v: v[0],
    "Gather": lambda n, v: np.take(v[0], v[1], int(n.attrs.get("axis", 0))),
    "Concat": lambda n, v: np.concatenate(v, int(n.attrs["axis"])),
    "Transpose": lambda n, v: np.transpose(v[0], n.attrs.get("perm")),
    "DequantizeLinear": lambda n, v: quantised(v[0], n, v),
    "com.microsoft.DequantizeLinear": lambda n, v: quantised(v[0], n, v),
    "QuantizeLinear": _quantise, "com.microsoft.QuantizeLinear": _quantise,
    "Add": _of(np.add), "Sub": _of(np.subtract), "Mul": _of(np.multiply), "Div": _of(_divide),
    "Pow": _of(np.power), "Mod": _of(np.mod), "Neg": _of(np.negative), "Abs": _of(np.abs),
    "Floor": _of(np.floor), "Ceil": _of(np.ceil), "Round": _of(np.rint), "Sqrt": _of(np.sqrt),
    "Exp": _of(np.exp), "Log": _of(np.log), "Reciprocal": _of(np.reciprocal), "Sign": _of(np.sign),
    "Tanh": _of(np.tanh), "Erf": _of(_erf), "Sigmoid": _of(lambda x: 1 / (1 + np.exp(-x))),
    "Relu": _of(lambda x: np.maximum(x, 0)), "Softplus": _of(lambda x: np.log1p(np.exp(x))),
    "Equal": _of(np.equal), "Greater": _of(np.greater), "Less": _of(np.less),
    "GreaterOrEqual": _of(np.greater_equal), "LessOrEqual": _of(np.less_equal),
    "And": _of(np.logical_and), "Or": _of(np.logical_or), "Not": _of(np.logical_not),
    "Where": lambda _, v: np.where(v[0], v[1], v[2]),
    "Clip": _clip,
    "BatchNormalization": _batch_norm,
    "Min": _many(np.minimum), "Max": _many(np.maximum), "Sum": _many(np.add),
    "MatMul": _of(np.matmul), "ReduceSum": _reduce(np.sum), "ReduceProd": _reduce(np.prod),
    "ReduceMean": _reduce(np.mean), "ReduceMax": _reduce(np.max), "ReduceMin": _reduce(np.min),
}  # fmt: skip
