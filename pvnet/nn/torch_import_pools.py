"""Pooling, padding, resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import fx

from pvnet.nn.torch_import import (
    Converter,
    Importer,
    Refused,
    Value,
    arguments,
    check_time,
    map_shape,
    sizes,
)
from pvnet.nn.torch_import_convs import add_conv, maps_only, padding_attrs, take_padding
from pvnet.nn.torch_import_maths import global_pool
from pvnet.nn.torch_import_views import as_map, crop, seen, size_of

_LOWEST = float(torch.finfo(torch.float32).min)


def pool(op: str) -> Converter:
    """Converter of max and average pooling, ceil_mode included."""

    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        source = node.args[0]
        assert isinstance(source, fx.Node)
        x = as_map(im, source)
        maps_only(x)
        kernel = sizes(a["kernel_size"], x.dims, time=1)
        stride = sizes(a["stride"], x.dims, time=1) if a["stride"] else kernel
        padding = sizes(a["padding"], x.dims, time=0)
        if op == "max_pool" and set(sizes(a["dilation"], x.dims, time=1)) != {1}:
            raise Refused("dilated pooling", "Pool without dilation.")
        check_time(im, kernel[0], stride[0], padding[0])
        shape = map_shape(node)
        start, end = list(padding[1:]), _ends(x, shape, kernel[1:], stride[1:], padding[1:])
        attrs: dict[str, Any] = {"kernel": list(kernel), "stride": list(stride)}
        divisor = a.get("divisor_override")
        hangs_over = end != start
        if op == "avg_pool" and (not a["count_include_pad"] or hangs_over) and not divisor:
            if a["count_include_pad"]:
                # torch counts its padding, but not what ceil_mode adds behind it.
                x, start = _padded(im, node, x, start), [0, 0]
                end = [e - p for e, p in zip(end, padding[1:])]
            attrs["count_include_pad"] = False
        elif divisor and hangs_over:
            raise Refused("divisor_override with ceil_mode", "Leave out one of them.")
        elif x is im.value(source):
            half = [k // 2 for k in kernel[1:]]
            value = 0.0 if op == "avg_pool" else -math.inf
            x, start, end = take_padding(im, source, x, start, end, half, value)
        y = im.add(node, op, [x], {**attrs, **padding_attrs(start, end)}, shape)
        return _divided(im, node, y, math.prod(kernel) / divisor) if divisor else y

    return convert


def _ends(
    x: Value,
    shape: tuple[int, int, int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> list[int]:
    """Padding behind the map that gives the shape that torch has, at least that in front."""
    sides = zip(x.shape[1:], shape[1:], kernel, stride, padding)
    needed = ((m - 1) * s + k - n - p for n, m, k, s, p in sides)
    return [max(p, e) for p, e in zip(padding, needed)]


def _padded(im: Importer, node: fx.Node, x: Value, padding: Sequence[int]) -> Value:
    """A map with zeros around it that count."""
    if not any(padding):
        return x
    shape = (x.shape[0], *(n + 2 * p for n, p in zip(x.shape[1:], padding)))
    attrs = {"padding": list(padding), "padding_end": list(padding), "pad_mode": "zeros"}
    return im.add(node, "pad", [x], attrs, shape, x.dims)  # type: ignore[arg-type]


def _divided(im: Importer, node: fx.Node, y: Value, factor: float) -> Value:
    made = im.add(node, "scale", [y], {"bias": False}, y.shape, y.dims)
    im.weights[f"{made.node}.weight"] = torch.full((y.shape[0],), factor)
    return made


def adaptive_pool(op: str) -> Converter:
    """Converter of adaptive pooling to equal bins."""

    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        x = as_map(im, node.args[0])
        maps_only(x)
        result = node.meta["val"]
        result = result[0] if isinstance(result, tuple | list) else result
        wanted = tuple(int(n) for n in result.shape[-2:])
        if x.dims == 5 and int(result.shape[2]) != x.ticks:
            if op == "max_pool" or tuple(int(n) for n in result.shape[2:]) != (1, 1, 1):
                raise Refused(f"adaptive pooling of clips to {list(a['output_size'])}, expected 1")
            return replace(global_pool(im, node, x, over_time=True), dims=5)
        if wanted == x.shape[1:]:
            return x
        if op == "avg_pool" and wanted == (1, 1):
            return global_pool(im, node, x, over_time=False)
        bins = [_bins(n, m) for n, m in zip(x.shape[1:], wanted)]
        attrs = {
            "kernel": [1, *(b[0] for b in bins)],
            "stride": [1, *(b[1] for b in bins)],
            "padding": [0, 0],
        }
        return im.add(node, op, [x], attrs, (x.shape[0], *wanted), x.dims)  # type: ignore[arg-type]

    return convert


def _bins(n: int, m: int) -> tuple[int, int]:
    """(size, step) of the m bins of n pixels, where all are alike."""
    starts = [i * n // m for i in range(m)]
    lengths = {-(-(i + 1) * n // m) - s for i, s in enumerate(starts)}
    steps = {b - a for a, b in pairwise(starts)} or {1}
    if len(lengths) > 1 or len(steps) > 1 or 0 in steps:
        raise Refused(
            f"adaptive pooling of {n} pixels to {m}, in bins of different size",
            "Pool to 1, or use a frame size that the bins divide.",
        )
    return lengths.pop(), steps.pop()


def largest(im: Importer, node: fx.Node) -> Value:
    """Largest value over height and width, or one of them."""
    a = arguments(node)
    x = as_map(im, node.args[0])
    given = a.get("dim")
    listed = [given] if isinstance(given, int) else list(given or range(x.dims))
    reduced = sorted(d % x.dims for d in listed)
    if x.dims != 4 or reduced not in ([2, 3], [2], [3]):
        raise Refused(f"maximum over dimensions {reduced}, expected height and width")
    c, h, w = x.shape
    kernel = [1, h if 2 in reduced else 1, w if 3 in reduced else 1]
    shape = (c, h // kernel[1], w // kernel[2])
    attrs = {"kernel": kernel, "stride": [1, 1, 1], "padding": [0, 0]}
    y = im.add(node, "max_pool", [x], attrs, shape, 4)
    result = node.meta["val"]
    result = result[0] if isinstance(result, tuple | list) else result
    return seen(y, torch.arange(size_of(y)).reshape(result.shape))


def pad(mode: str | None) -> Converter:
    """Converter of padding; mode None: the operation says which."""

    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        x = as_map(im, node.args[0])
        maps_only(x)
        listed = [int(n) for n in (a["pad"] if "pad" in a else a["padding"])]
        kind = {"constant": "zeros", "replicate": "replicate", "reflect": "reflect"}.get(
            mode or a["mode"]
        )
        if kind is None:
            raise Refused("circular padding", "Pad with zeros, by reflection or replication.")
        value = float(a.get("value") or 0.0)
        listed += [0] * (2 * x.dims - len(listed))
        (left, right, top, bottom), deeper = listed[:4], listed[4:]
        if x.dims == 5 and any(deeper[:2]):
            raise Refused("padding in time", "Let temporal kernels pad the past.")
        x = _pad_channels(im, node, x, deeper[2 * (x.dims - 4) :][:2], value)
        start, end = [top, left], [bottom, right]
        if not any(start + end):
            return x
        _, h, w = map_shape(node)
        attrs: dict[str, Any] = {"padding": start, "padding_end": end, "pad_mode": kind}
        if max(start + end) <= 0:
            return crop(im, node, x, (-top, -left), (h, w))
        if value:
            attrs["value"] = value
        if kind != "zeros" and min(start + end) < 0:
            raise Refused("negative padding by reflection or replication", "Crop by a slice.")
        return im.add(node, "pad", [x], attrs, (x.shape[0], h, w), x.dims)

    return convert


def _pad_channels(
    im: Importer, node: fx.Node, x: Value, extra: Sequence[int], value: float
) -> Value:
    """Channels of zeros in front and behind, by a 1x1 convolution."""
    if not any(extra):
        return x
    if value or min(extra) < 0:
        raise Refused("padding of channels with anything but zeros")
    (c, h, w), out = x.shape, x.shape[0] + sum(extra)
    weight = torch.zeros(out, c, 1, 1, 1)
    weight[torch.arange(c) + extra[0], torch.arange(c)] = 1
    attrs = {"out": out, "kernel": [1, 1, 1], "padding": [0, 0]}
    return add_conv(im, node, x, attrs, weight, None, (out, h, w))


def finite_pads(im: Importer) -> None:
    """Padding with -inf that no pooling took up: the lowest number does the same in a maximum."""
    for spec in im.specs.values():
        if spec["op"] == "pad" and spec["attrs"].get("value") == -math.inf:
            spec["attrs"]["value"] = _LOWEST


def upsample(mode: str) -> Converter:
    """Converter of interpolation to a size, or by a number."""

    def convert(im: Importer, node: fx.Node) -> Value:
        a = arguments(node)
        x = as_map(im, node.args[0])
        if x.dims != 4:
            raise Refused("interpolation of clips")
        shape = map_shape(node)
        attrs: dict[str, Any] = {"size": list(shape[1:]), "mode": mode.removesuffix("-exact")}
        if a.get("align_corners"):
            attrs["align_corners"] = True
        else:
            for n, m, scale in zip(x.shape[1:], shape[1:], _scales(a)):
                if scale is not None and abs(n * scale - m) > 1e-6 * m:
                    raise Refused(
                        f"scale factor {scale} of size {n}, expected a whole size",
                        "Interpolate to a size, or choose another frame size.",
                    )
        exact = mode.endswith("-exact")
        if exact and any(m % n for n, m in zip(x.shape[1:], shape[1:])):
            raise Refused("nearest-exact by other than whole factors", 'Use "nearest".')
        if shape == x.shape:
            return x
        return im.add(node, "upsample", [x], attrs, shape)

    return convert


def _scales(a: dict[str, Any]) -> tuple[float | None, float | None]:
    if a.get("scale_factors"):
        return a["scale_factors"][0], a["scale_factors"][1]
    return a.get("scales_h"), a.get("scales_w")


