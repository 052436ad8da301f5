"""Our kernels on CUDA tensors: one operation as a device program of its own.

The program's tables are those of a Plan that has nothing but the operation. They are made once for
a shape and stay on the device. Maps are the tensors themselves, channels last: a table of slots
says where each firing lies. So nothing is copied but weights, which get the order of the kernels.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pvnet import _core
from pvnet.errors import PvnetError
from pvnet.graph import Graph

DTYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
ISA = ""  # the best of the device; tests have a machine of their own
_ALIGNMENT = 16  # bytes, of every pixel
_WRITE = -1  # as taps back: where the output goes


@dataclass(frozen=True)
class Spec:
    """An operation and the shape of its maps; kernel, stride and dilation as (t, h, w)."""

    op: str  # "conv3d", "max_pool" or "avg_pool"
    shape: tuple[int, int, int]  # c, h, w of a firing
    out: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...] = (1, 1, 1)
    groups: int = 1
    count_include_pad: bool = True
    rows: int = 1  # firings of the output
    dtype: str = "f32"


def on_cuda(x: Tensor) -> bool:
    """Whether a tensor lies on a CUDA device."""
    return x.is_cuda


def memory_format(x: Tensor) -> torch.memory_format:
    """Of results for `x`, as torch's own convolutions choose it on CUDA; contiguous elsewhere."""
    last = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    if on_cuda(x) and not x.is_contiguous() and x.is_contiguous(memory_format=last):
        return last
    return torch.contiguous_format


def new_like(x: Tensor, size: list[int]) -> Tensor:
    """Memory for a result, in the memory format of `x`."""
    layout = memory_format(x)
    if layout == torch.contiguous_format:
        return x.new_empty(size)
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=layout)


def _is_map(x: Tensor) -> bool:
    """Channels last without gaps inside a firing ([..., c, (t,) h, w]), every pixel aligned."""
    channels, width = x.shape[1], x.shape[-1]
    inside = (x.stride(1), x.stride(-1), x.stride(-2)) == (1, channels, channels * width)
    steps = (channels, *(x.stride(i) for i in range(x.dim() - 2) if i != 1))
    return (
        inside
        and all(s * x.element_size() % _ALIGNMENT == 0 for s in steps)
        and (x.data_ptr() % _ALIGNMENT == 0)
    )


@functools.cache
def _available() -> bool:
    backends = json.loads(_core.describe_backends())
    return ISA != "" or any(b["name"] == "cuda" and b["available"] for b in backends)


def takes(x: Tensor, out: Tensor) -> bool:
    """Whether our kernels read `x` and write `out` as they are ([b, c, (t,) h, w] or firings)."""
    return x.dtype in DTYPES and on_cuda(x) and _is_map(x) and _is_map(out) and _available()


def run(
    spec: Spec,
    x: Tensor,
    out: Tensor,
    where: Callable[[int], list[int]],
    to: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> bool:
    """One launch of the operation in the current cuda_stream; False: it has no program.

    Args:
        spec: of the operation; its `rows` and `dtype` are filled in.
        x: the tensor that firings are read from.
        out: the tensor that is written.
        where: taps back -> for every output firing the offset of the firing read in `x`, in
            elements; -1: it does not exist.
        to: for every output firing its offset in `out`.
        weight: of a convolution, as torch has it.
        bias: of a convolution, or None.

    """
    program = _program(replace(spec, rows=len(to), dtype=DTYPES[x.dtype]), x.device, ISA)
    pixel = out.shape[1]
    if program is None or program.core.strides[1] != (out.shape[-1] * pixel, pixel):
        return False
    program.run(x, out, where, to, weight, bias)
    return True


def run_clip(
    spec: Spec, clip: Tensor, out: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
) -> bool:
    """All firings of a clip [b, c, t, h, w] into `out` [b, out, t', h', w']; False: not ours."""
    if not takes(clip, out):
        return False
    rows, times = range(out.shape[0]), range(out.shape[2])

    def where(back: int) -> list[int]:
        newest = [i * spec.stride[0] - back for i in times]
        return [
            r * clip.stride(0) + t * clip.stride(2) if t >= 0 else -1 for r in rows for t in newest
        ]

    to = [r * out.stride(0) + i * out.stride(2) for r in rows for i in times]
    return run(spec, clip, out, where, to, weight, bias)


def run_step(
    spec: Spec,
    ring: Tensor,
    tick: int,
    out: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> bool:
    """The firing of a tick from a ring [d, b, c, h, w] into `out` [b, out, h', w']."""
    maps = ring.transpose(1, 2)  # as a clip: channels after the first axis
    if not takes(maps, out):
        return False
    rows, depth = range(out.shape[0]), ring.shape[0]

    def where(back: int) -> list[int]:
        slot = (tick - back) % depth * ring.stride(0)
        return [slot + r * ring.stride(1) if tick >= back else -1 for r in rows]

    return run(spec, maps, out, where, [r * out.stride(0) for r in rows], weight, bias)


class _Program:
    """Tables on the device, and what a launch needs beside them."""

    def __init__(self, spec: Spec, device: torch.device) -> None:
        self.spec = spec
        self.core = _core.DeviceOp(_plan(spec, 0))
        c, _, w = spec.shape
        if self.core.strides[0] != (w * c, c):
            raise PvnetError("the kernels want another layout of these maps")
        self.tables = _upload(np.frombuffer(self.core.tables(), np.uint8), device)
        self.order = _upload(_order(spec), device) if spec.op == "conv3d" else None
        self._slots: dict[
            Any, list[Tensor]
        ] = {}  # by offsets: those, and masks of reads and writes

    def run(
        self,
        x: Tensor,
        out: Tensor,
        where: Callable[[int], list[int]],
        to: list[int],
        weight: Tensor | None,
        bias: Tensor | None,
    ) -> None:
        packed = None if weight is None else self._pack(weight)
        floats = None if weight is None else self._floats(bias, x)
        maps, slots = self._find(x, out, where, to)
        partials = empty((self.core.partial_floats,), torch.float32, x.device)
        counters = empty((self.core.counters,), torch.int32, x.device).zero_()
        launch(
            self.core,
            x.device,
            tables=self.tables.data_ptr(),
            weights=0 if packed is None else packed.data_ptr(),
            floats=0 if floats is None else floats.data_ptr(),
            maps=maps,
            slots=slots.data_ptr(),
            partials=partials.data_ptr(),
            counters=counters.data_ptr(),
        )

    def _pack(self, weight: Tensor) -> Tensor:
        """The weights in the kernels' order; places that are no weight are zero."""
        assert self.order is not None
        dtype = torch.float32 if self.core.has_float_weights else weight.dtype
        padded = empty((weight.numel() + 1,), dtype, weight.device)
        padded[0] = 0
        padded[1:] = weight.reshape(-1)
        packed = empty((self.order.numel(),), dtype, weight.device)
        return torch.index_select(padded, 0, self.order, out=packed)

    def _floats(self, bias: Tensor | None, x: Tensor) -> Tensor:
        floats = empty((self.core.n_floats,), torch.float32, x.device).zero_()
        for first, c0, channels in self.core.biases if bias is not None else ():
            assert bias is not None
            floats[first : first + channels] = bias[c0 : c0 + channels]
        return floats

    def _find(
        self, x: Tensor, out: Tensor, where: Callable[[int], list[int]], to: list[int]
    ) -> tuple[int, Tensor]:
        """The address that slots count from, and the slots: [row][read] in elements.

        Offsets inside each tensor do not change from call to call, so they stay on the device; how
        far apart the tensors lie is added there.
        """
        nowhere = [-1] * len(to)
        reads = [
            where(back) if back >= 0 else to if back == _WRITE else nowhere
            for back in self.core.taps_back
        ]
        key = tuple(map(tuple, reads))
        if key not in self._slots:
            table = np.array(reads, np.int64).T
            there, writes = table >= 0, np.array(self.core.taps_back)[None] == _WRITE
            parts = (table, there & ~writes, there & writes)
            self._slots[key] = [_upload(part.astype(np.int64), x.device) for part in parts]
        offsets, of_x, of_out = self._slots[key]
        slots = empty(tuple(offsets.shape), torch.int64, x.device)
        apart = (out.data_ptr() - x.data_ptr()) // x.element_size()
        torch.add(offsets, of_out if apart >= 0 else of_x, alpha=abs(apart), out=slots)
        return min(x.data_ptr(), out.data_ptr()), slots


@functools.lru_cache(maxsize=512)
def _program(spec: Spec, device: torch.device, isa: str) -> _Program | None:  # noqa: ARG001
    try:
        return _Program(spec, device)
    except PvnetError:  # too large for a device, or in another layout: plain torch takes it
        return None


def _graph(spec: Spec) -> Graph:
    g = Graph()
    c, h, w = spec.shape
    x = g.input("x", channels=c, height=h, width=w)
    stride = (1, *spec.stride[1:])  # in time, whoever calls chooses the firings
    window: dict[str, Any] = {"stride": stride, "padding": tuple(spec.padding)}
    if spec.op == "conv3d":
        window |= {"dilation": tuple(spec.dilation), "groups": spec.groups}
        y = g.conv3d(x, spec.out, kernel=tuple(spec.kernel), name="y", **window)
    elif spec.op == "max_pool":
        y = g.max_pool(x, tuple(spec.kernel), name="y", **window)
    else:
        window["count_include_pad"] = spec.count_include_pad
        y = g.avg_pool(x, tuple(spec.kernel), name="y", **window)
    g.output(y, name="y")
    return g.wire("sequential")


def _plan(spec: Spec, value: Any) -> _core.Plan:
    """The operation alone, with `value` as its weights."""
    graph = _graph(spec)
    weights = {name: np.zeros(shape, np.float32) for name, shape in graph.expected_weights()}
    if "y.weight" in weights:
        weights["y.weight"] = np.resize(np.float32(value), weights["y.weight"].shape)
    return _core.Plan.compile(
        graph.core,
        weights,
        backend="cuda",
        isa=ISA,
        dtype=spec.dtype,
        lanes=1,
        batch=spec.rows,
        pin=False,
        fixed_lanes=False,
        costs={},
    )


def _order(spec: Spec) -> np.ndarray:
    """int64: for every place of the packed weights 1 + the index of its weight; 0: it has none.

    Found by packing the indices themselves, digit by digit: digits are exact in every dtype.
    """
    one = replace(spec, rows=1)
    c = spec.shape[0] // spec.groups
    index = np.arange(1, spec.out * c * int(np.prod(spec.kernel)) + 1)
    base, order, place = 128, np.zeros(1, np.int64), 1
    while place <= index[-1]:
        core = _core.DeviceOp(_plan(one, (index // place % base).astype(np.float32)))
        dtype = "f32" if core.has_float_weights else spec.dtype
        order = order + _decode(core.packed(), dtype).astype(np.int64) * place
        place *= base
    return order


def _decode(packed: bytes, dtype: str) -> np.ndarray:
    if dtype == "f16":
        return np.frombuffer(packed, np.float16)
    if dtype == "bf16":
        return (np.frombuffer(packed, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(packed, np.float32)


def empty(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Memory of the device; tests have a device of their own."""
    return torch.empty(shape, dtype=dtype, device=device)


def _upload(array: np.ndarray, device: torch.device) -> Tensor:
    host = torch.from_numpy(np.ascontiguousarray(array).copy())
    return empty(tuple(host.shape), host.dtype, device).copy_(host)


def launch(core: _core.DeviceOp, device: torch.device, **addresses: int) -> None:
    """In the current cuda_stream of the tensors' device; torch calls the default one 0."""
    with torch.cuda.device(device):
        stream = torch.cuda.current_stream(device).cuda_stream or 1
        core.launch(**addresses, stream=stream)
