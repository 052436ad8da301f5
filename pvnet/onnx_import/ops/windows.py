"""Windows over pixels: the paddings that ONNX means by pads, auto_pad and ceil_mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.refusal import Refused

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """Kernel, stride and dilation (h, w) of an operation, and its padding at both ends."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    begin: Pair
    end: Pair

    def attrs(self) -> dict[str, list[int]]:
        """As the core takes them; time has one tap."""
        out = {
            "kernel": [1, *self.kernel],
            "stride": [1, *self.stride],
            "padding": list(self.begin),
            "dilation": [1, *self.dilation],
        }
        return out | ({"padding_end": list(self.end)} if self.end != self.begin else {})

    def size(self, height: int, width: int) -> Pair:
        """(h, w) of the result."""
        h, w = (
            (n + self.begin[i] + self.end[i] - extent(self, i)) // self.stride[i] + 1
            for i, n in enumerate((height, width))
        )
        if h < 1 or w < 1:
            raise Refused(f"a kernel of {list(self.kernel)} on a map of {height} x {width}")
        return h, w


def extent(window: Window, i: int) -> int:
    """Pixels from the first to the last tap."""
    return window.dilation[i] * (window.kernel[i] - 1) + 1


def window(node: Node, kernel: Sequence[int], size: Pair) -> Window:
    """The window of a convolution or a pool on a map of some (h, w)."""
    if len(kernel) != 2:
        raise Refused(f"a kernel of {len(kernel)} dimensions, expected images (2)")
    a = node.attrs
    k = two(kernel, "kernel_shape")
    stride = two(a.get("strides", (1, 1)), "strides")
    dilation = two(a.get("dilations", (1, 1)), "dilations")
    if min(*k, *stride, *dilation) < 1:
        raise Refused("a kernel, stride or dilation below 1")
    pads = list(a.get("pads", (0, 0, 0, 0)))
    mode = a.get("auto_pad", "NOTSET")
    if mode == "VALID":
        pads = [0, 0, 0, 0]
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = [0, 0, 0, 0]
        for i in range(2):
            out = -(-size[i] // stride[i])
            total = max((out - 1) * stride[i] + dilation[i] * (k[i] - 1) + 1 - size[i], 0)
            less, more = total // 2, total - total // 2
            pads[i], pads[i + 2] = (less, more) if mode == "SAME_UPPER" else (more, less)
    elif mode != "NOTSET":
        raise Refused(f"auto_pad {mode!r}")
    if len(pads) != 4 or min(pads) < 0:
        raise Refused(f"pads of {pads}, expected 4 numbers from 0")
    return Window(k, stride, dilation, (pads[0], pads[1]), (pads[2], pads[3]))


def two(values: Sequence[int], what: str) -> Pair:
    """A pair (h, w)."""
    if len(values) != 2:
        raise Refused(f"{what} of {len(values)} dimensions, expected images (2)")
    return int(values[0]), int(values[1])


def rounded_up(w: Window, size: Pair) -> Window:
    """The window whose last, incomplete positions count, as by ceil_mode."""
    end = list(w.end)
    for i in range(2):
        free = size[i] + w.begin[i] + w.end[i] - extent(w, i)
        out = -(-free // w.stride[i]) + 1
        if (out - 1) * w.stride[i] >= size[i] + w.begin[i]:
            out -= 1  # it would begin behind the map
        end[i] += max((out - 1) * w.stride[i] - free, 0)
    return Window(w.kernel, w.stride, w.dilation, w.begin, (end[0], end[1]))
