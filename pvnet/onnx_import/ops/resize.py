"""Resize: the graph's own interpolations, and any other of a whole factor as a convolution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops.conv import crop_to, emit_conv
from pvnet.onnx_import.ops.windows import Window
from pvnet.onnx_import.refusal import Refused
from pvnet.onnx_import.view import View

Matrix = NDArray[np.float64]
MOST_WEIGHTS = 2**25  # of one side
NATIVE = (("nearest", False), ("bilinear", False), ("bilinear", True))


def resize(im: Importer, node: Node) -> list[Value]:
    """Resize of rows and columns."""
    x = im.view(node)
    if len(x.dims) != 4:
        raise Refused(f"a resize of a tensor {list(x.shape)}, expected a map")
    c, h, w = im.shape(x)
    channels_last = x.shape[1:] != (c, h, w) and x.shape[1:] == (h, w, c)
    dims = (1, 2) if channels_last else (2, 3)
    sizes, scales = _target(im, node, x)
    if any(sizes[i] != x.shape[i] for i in range(4) if i not in dims):
        raise Refused("a resize of channels or of the batch")
    source = x.node if channels_last else im.map(x)[0]
    c, h, w = im.draft.ops[source].shape
    out = (sizes[dims[0]], sizes[dims[1]])
    y = _resized(im, node, source, out, (scales[dims[0]], scales[dims[1]]))
    order = (0, 2, 3, 1) if channels_last else (0, 1, 2, 3)
    return [View(y.node, tuple(y.dims[i] for i in order))]


def _target(im: Importer, node: Node, x: View) -> tuple[list[int], list[float]]:
    """Sizes and scales of all dimensions."""
    a = node.attrs
    wanted = [int(d) % 4 for d in a.get("axes", range(4))]
    if a.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refused("a resize that keeps the ratio of sides")
    sizes, scales = list(x.shape), [1.0] * 4
    given_sizes, given_scales = im.constant(node, 3), im.constant(node, 2)
    if given_sizes is not None and given_sizes.size == len(wanted):
        for d, n in zip(wanted, np.ravel(given_sizes)):
            sizes[d], scales[d] = int(n), int(n) / x.shape[d]
    elif given_scales is not None and given_scales.size == len(wanted):
        for d, s in zip(wanted, np.ravel(given_scales)):
            sizes[d], scales[d] = math.floor(x.shape[d] * float(s)), float(s)
    else:
        raise Refused("a resize without sizes or scales")
    if min(sizes) < 1 or max(sizes) > 65536:
        raise Refused(f"a resize to {sizes}")
    return sizes, scales


def _resized(
    im: Importer, node: Node, source: str, out: tuple[int, int], scales: tuple[float, float]
) -> View:
    c, h, w = im.draft.ops[source].shape
    wanted = [
        taps(node, n, m, s, exclude=bool(node.attrs.get("exclude_outside", 0)))
        for n, m, s in zip((h, w), out, scales)
    ]
    for mode, corners in NATIVE:
        have = [native(mode, n, m, corners=corners) for n, m in zip((h, w), out)]
        if all(np.abs(a - b).max() < 1e-5 for a, b in zip(wanted, have)):
            attrs = {"size": list(out), "mode": mode} | ({"align_corners": True} if corners else {})
            return im.emit("upsample", [source], (c, *out), attrs)
    return _as_convolution(im, source, out, wanted)


def native(mode: str, n: int, m: int, *, corners: bool) -> Matrix:
    """Weights [m, n] of the graph's upsample."""
    i = np.arange(m)
    matrix = np.zeros((m, n))
    if mode == "nearest":
        matrix[i, i * n // m] = 1
        return matrix
    if corners:
        x = i * ((n - 1) / (m - 1) if m > 1 else 0.0)
    else:
        x = np.maximum((i + 0.5) * n / m - 0.5, 0)
    low = np.minimum(np.floor(x).astype(int), n - 1)
    np.add.at(matrix, (i, low), 1 - (x - low))
    np.add.at(matrix, (i, np.minimum(low + 1, n - 1)), x - low)
    return matrix


def taps(node: Node, n: int, m: int, scale: float, *, exclude: bool) -> Matrix:
    """Weights [m, n] that the file means along one side."""
    a = node.attrs
    mode = a.get("mode", "nearest")
    if n * m > MOST_WEIGHTS:
        raise Refused(f"a resize of {n} to {m} pixels")
    if n == m and scale == 1.0:
        return np.eye(n)
    x = _coordinates(a.get("coordinate_transformation_mode", "half_pixel"), n, m, scale)
    if a.get("antialias", 0) and scale < 1:
        raise Refused("a smaller picture by antialiasing")
    matrix = np.zeros((m, n))
    rows = np.arange(m)
    if mode == "nearest":
        index = _rounded(a.get("nearest_mode", "round_prefer_floor"), x)
        matrix[rows, np.clip(index, 0, n - 1).astype(int)] = 1
        return matrix
    low = np.floor(x)
    part = x - low
    if mode == "linear":
        weights = [(0, 1 - part), (1, part)]
    elif mode == "cubic":
        weights = _cubic(part, float(a.get("cubic_coeff_a", -0.75)))
    else:
        raise Refused(f"a resize of mode {mode!r}")
    for offset, weight in weights:
        at = (low + offset).astype(int)
        weight = np.where((at < 0) | (at >= n), 0, weight) if exclude else weight
        np.add.at(matrix, (rows, np.clip(at, 0, n - 1)), weight)
    return np.asarray(matrix / matrix.sum(1, keepdims=True))


def _coordinates(kind: str, n: int, m: int, scale: float) -> Matrix:
    i = np.arange(m, dtype=np.float64)
    if kind == "half_pixel" or (kind == "pytorch_half_pixel" and m > 1):
        return np.asarray((i + 0.5) / scale - 0.5)
    if kind == "pytorch_half_pixel":
        return i * 0
    if kind == "align_corners":
        return np.asarray(i * ((n - 1) / (m - 1) if m > 1 else 0.0))
    if kind == "asymmetric":
        return np.asarray(i / scale)
    if kind == "half_pixel_symmetric":
        return np.asarray(n / 2 * (1 - m / (n * scale)) + (i + 0.5) / scale - 0.5)
    raise Refused(f"coordinates of kind {kind!r}")


def _rounded(kind: str, x: Matrix) -> Matrix:
    if kind == "round_prefer_floor":
        return np.asarray(np.ceil(x - 0.5))
    if kind == "round_prefer_ceil":
        return np.asarray(np.floor(x + 0.5))
    if kind in ("floor", "ceil"):
        return np.asarray(np.floor(x) if kind == "floor" else np.ceil(x))
    raise Refused(f"a nearest_mode {kind!r}")


def _cubic(t: Matrix, a: float) -> list[tuple[int, Matrix]]:
    def near(d: Matrix) -> Matrix:
        return np.asarray(((a + 2) * d - (a + 3)) * d * d + 1)

    def far(d: Matrix) -> Matrix:
        return np.asarray(((a * d - 5 * a) * d + 8 * a) * d - 4 * a)

    return [(-1, far(1 + t)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))]


def _as_convolution(im: Importer, source: str, out: tuple[int, int], wanted: list[Matrix]) -> View:
    """The weights by phase of the output pixel, as convolutions of every channel by itself."""
    c, h, w = im.draft.ops[source].shape
    factor = out[0] // h
    if (h * factor, w * factor) != out or factor < 2:
        raise Refused(
            f"a resize of {h} x {w} to {out[0]} x {out[1]} of this kind, expected a whole factor"
        )
    kernels = [_kernel(m, n, factor) for m, n in zip(wanted, (h, w))]
    before = max(k[1] for k in kernels)
    after = max(k[2] for k in kernels)
    full = [_widened(k, before, after) for k in kernels]
    weight = np.einsum("pi,qj->pqij", *full).reshape(factor * factor, 1, *(before + after + 1,) * 2)
    border = {"padding": [before] * 2, "padding_end": [after] * 2, "pad_mode": "replicate"}
    if before or after:
        shape = (c, h + before + after, w + before + after)
        source = im.draft.add("pad", [source], shape, border)
    side = before + after + 1
    win = Window((side, side), (1, 1), (1, 1), (0, 0), (0, 0))
    y = emit_conv(im, source, np.tile(weight, (c, 1, 1, 1)).astype(np.float32), None, win, c)
    y = im.emit("depth_to_space", [y.node], (c, *out), {"block": factor})
    return crop_to(im, y, (0, 0), out)


def _kernel(matrix: Matrix, n: int, factor: int) -> tuple[Matrix, int, int]:
    """(weights [factor, taps], taps before, taps behind), for a map with a replicated edge.

    Raises:
        Refused: the rows of the matrix do not repeat.
    """
    q = n // 2
    rows = matrix[q * factor : (q + 1) * factor]
    used = np.flatnonzero(np.abs(rows).max(0) > 1e-12)
    before, after = max(q - int(used.min()), 0), max(int(used.max()) - q, 0)
    weights = rows[:, q - before : q + after + 1]
    again = np.zeros_like(matrix)
    for i in range(n):
        for k in range(before + after + 1):
            at = min(max(i + k - before, 0), n - 1)
            again[i * factor : (i + 1) * factor, at] += weights[:, k]
    if np.abs(again - matrix).max() > 1e-6:
        raise Refused("a resize whose weights do not repeat, or of a very small map")
    return weights, before, after


def _widened(kernel: tuple[Matrix, int, int], before: int, after: int) -> Matrix:
    weights, b, a = kernel
    return np.pad(weights, ((0, 0), (before - b, after - a)))
