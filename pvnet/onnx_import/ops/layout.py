"""Operations that only say where elements lie: they make views, and no nodes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.fold import DTYPES, given, new_shape, shape_of
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops.elementwise import clamp, grown
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.view import View, reshape, size, transpose


def same(im: Importer, node: Node) -> list[Value]:
    """Identity, Dropout, and casts between floating types."""
    return [im.view(node)]


def cast(im: Importer, node: Node) -> list[Value]:
    """Cast between floating types; all are f32 here."""
    kind = DTYPES.get(int(node.attrs.get("to", 1)))
    if kind not in (np.float32, np.float64):
        raise Refused("a cast to integers or truth values")
    return [im.view(node)]


def shape(im: Importer, node: Node) -> list[Value]:
    """Shape of a computed tensor: known, since all sizes are."""
    return [shape_of(node, im.view(node).shape)]


def count(im: Importer, node: Node) -> list[Value]:
    """Size of a computed tensor."""
    return [np.asarray(math.prod(im.view(node).shape), np.int64)]


def to_shape(im: Importer, node: Node) -> list[Value]:
    """Reshape."""
    x, wanted = im.view(node), im.constant(node, 1)
    listed = [int(n) for n in np.ravel(wanted)] if wanted is not None else []
    zero = bool(node.attrs.get("allowzero", 0))
    return [reshape(x, new_shape(x.shape, listed, allow_zero=zero))]


def flatten(im: Importer, node: Node) -> list[Value]:
    """Flatten."""
    x = im.view(node)
    axis = int(node.attrs.get("axis", 1))
    axis = axis + len(x.dims) if axis < 0 else axis
    return [reshape(x, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])])]


def squeeze(im: Importer, node: Node) -> list[Value]:
    """Squeeze."""
    x, axes = im.view(node), given(node, im.constants(node), 1, "axes")
    if axes is None:
        out = {i for i, dim in enumerate(x.dims) if not dim}
    else:
        out = {a % len(x.dims) for a in axes}
    if any(x.dims[i] for i in out):
        raise Refused(f"a squeeze of {list(x.shape)} in dimensions {sorted(out)}")
    return [View(x.node, tuple(d for i, d in enumerate(x.dims) if i not in out))]


def unsqueeze(im: Importer, node: Node) -> list[Value]:
    """Unsqueeze."""
    x, axes = im.view(node), given(node, im.constants(node), 1, "axes") or []
    rank = len(x.dims) + len(axes)
    dims = list(x.dims)
    for i in sorted(a % rank for a in axes):
        dims.insert(i, ())
    return [View(x.node, tuple(dims))]


def permute(im: Importer, node: Node) -> list[Value]:
    """Transpose."""
    x = im.view(node)
    return [transpose(x, node.attrs.get("perm") or list(range(len(x.dims)))[::-1])]


def expand(im: Importer, node: Node) -> list[Value]:
    """Expand and Tile, where one channel or one pixel becomes many."""
    x, wanted = im.view(node), im.constant(node, 1)
    listed = tuple(int(n) for n in np.ravel(wanted)) if wanted is not None else ()
    if node.op == "Tile":
        if any(n != 1 and r != 1 for n, r in zip(x.shape, listed)):
            raise Refused(f"repeats of {list(listed)} of a tensor {list(x.shape)}")
        listed = tuple(n * r for n, r in zip(x.shape, listed))
    y = grown(im, x, listed)
    if any(m not in (1, n) for m, n in zip(listed[::-1], y.shape[::-1])):
        raise Refused(f"it grows from {list(x.shape)} to {list(listed)}")
    return [y]


def depth_to_space(im: Importer, node: Node) -> list[Value]:
    """DepthToSpace in both orders of channels."""
    x, b = im.view(node), int(node.attrs.get("blocksize", 0))
    if len(x.dims) != 4 or b < 1 or size(x.dims[1]) % (b * b):
        raise Refused(f"blocks of {b} of a tensor {list(x.shape)}")
    n, c, h, w = x.shape
    if node.attrs.get("mode", "DCR") == "DCR":
        y = transpose(reshape(x, [n, b, b, c // (b * b), h, w]), [0, 3, 4, 1, 5, 2])
    else:
        y = transpose(reshape(x, [n, c // (b * b), b, b, h, w]), [0, 1, 4, 2, 5, 3])
    return [reshape(y, [n, c // (b * b), h * b, w * b])]


def space_to_depth(im: Importer, node: Node) -> list[Value]:
    """SpaceToDepth."""
    x, b = im.view(node), int(node.attrs.get("blocksize", 0))
    if len(x.dims) != 4 or b < 1 or x.shape[2] % b or x.shape[3] % b:
        raise Refused(f"blocks of {b} of a tensor {list(x.shape)}")
    n, c, h, w = x.shape
    y = transpose(reshape(x, [n, c, h // b, b, w // b, b]), [0, 3, 5, 1, 2, 4])
    return [reshape(y, [n, c * b * b, h // b, w // b])]


def quantise(im: Importer, node: Node) -> list[Value]:
    """QuantizeLinear of a computed tensor: the range of its integers, without the rounding."""
    x, scale = im.view(node), im.floats(node, 1)
    zero = im.constant(node, 2)
    held: Any = np.zeros(1, np.uint8) if zero is None else zero
    kind = held.dtype
    if scale.size != 1 or kind.kind not in "iu":
        raise Refused("scales of channels, or a quantisation that is not to integers")
    im.note("quantised", node.name)
    limits, s, z = np.iinfo(kind), float(scale.ravel()[0]), float(np.ravel(held)[0])
    return [clamp(im, x, (limits.min - z) * s, (limits.max - z) * s)]


def dequantise(im: Importer, node: Node) -> list[Value]:
    """DequantizeLinear of a computed tensor, which was never made of integers."""
    return [im.view(node)]
