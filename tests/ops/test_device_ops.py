"""pvnet.ops on CUDA tensors: which go to our kernels, and what those give. The machine for tests
stands in for the device: CPU tensors over its memory are taken for CUDA tensors."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
import torch

from pvnet import _core, ops
from pvnet.ops import causal_conv, device_op, pool, reference

pytestmark = pytest.mark.skipif(
    not hasattr(_core, "shim"), reason="a build without the machine for tests (-DPVNET_SHIM=ON)"
)

TOLERANCE = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}
LAST = torch.channels_last_3d
MAX, AVG = pool._Pool(is_max=True), pool._Pool(is_max=False)


class Machine:
    """CPU tensors in the memory of the machine for tests."""

    def __init__(self) -> None:
        self.stream = _core.shim.make_stream()
        self.kept: list[Any] = []
        self.launches = 0

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype, _device: object = None) -> Any:
        count = max(int(torch.Size(shape).numel()), 1) * dtype.itemsize
        memory = _core.shim.allocate(count)
        buffer = (ctypes.c_byte * count).from_address(memory)
        flat = torch.frombuffer(buffer, dtype=torch.uint8)[:count].view(dtype)
        return flat[: torch.Size(shape).numel()].view(shape)

    def move(self, x: torch.Tensor) -> torch.Tensor:
        """The same values and strides on the machine."""
        flat = self.empty((x.untyped_storage().nbytes() // x.itemsize,), x.dtype)
        return flat.as_strided(x.shape, x.stride(), 0).copy_(x)

    def new_like(self, x: torch.Tensor, size: list[int]) -> torch.Tensor:
        layout = device_op.memory_format(x)
        return self.move(torch.empty(size, dtype=x.dtype, memory_format=layout).fill_(torch.nan))

    def launch(self, core: Any, _device: object, **addresses: int) -> None:
        self.launches += 1
        core.launch(**addresses, stream=self.stream)
        _core.shim.read(addresses["tables"], 1, self.stream)  # waits


@pytest.fixture(params=["shim", "shim-plain"])
def machine(request: Any, monkeypatch: Any) -> Any:
    made = Machine()
    monkeypatch.setattr(device_op, "ISA", request.param)
    monkeypatch.setattr(device_op, "on_cuda", lambda x: True)
    monkeypatch.setattr(device_op, "empty", made.empty)
    monkeypatch.setattr(device_op, "new_like", made.new_like)
    monkeypatch.setattr(device_op, "launch", made.launch)
    device_op._program.cache_clear()
    _core.shim_refusals()
    yield made
    device_op._program.cache_clear()
    assert _core.shim_refusals() == []


def random(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(got: torch.Tensor, want: torch.Tensor) -> bool:
    scale = want.double().abs().max()
    return bool(((got.double() - want.double()).abs().max() <= TOLERANCE[got.dtype] * scale).all())


CONVS = {
    "3 taps": {"kernel": (3, 3, 3), "padding": (1, 1)},
    "stride": {"kernel": (2, 3, 3), "stride": (2, 2, 1), "padding": (1, 0)},
    "dilation": {"kernel": (2, 3, 2), "dilation": (2, 2, 1), "padding": (2, 1)},
    "pointwise": {"kernel": (1, 1, 1)},
    "groups": {"kernel": (2, 3, 3), "groups": 2, "padding": (1, 1)},
    "depthwise": {"kernel": (2, 3, 3), "groups": 16, "padding": (1, 1)},
    "wide": {"kernel": (1, 3, 3), "c": 40, "out": 72},
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CONVS)
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_clip_is_convolved_as_by_torch(
    machine: Any, case: str, dtype: Any, with_bias: bool
) -> None:
    about = dict(CONVS[case])
    kernel, c, out = about.pop("kernel"), about.pop("c", 16), about.pop("out", 16)
    clip = random((2, c, 4, 7, 6), 1, dtype)
    weight = random((out, c // about.get("groups", 1), *kernel), 2, dtype)
    bias = random((out,), 3, dtype) if with_bias else None
    window = {"stride": (1, 1, 1), "padding": (0, 0), "dilation": (1, 1, 1), "groups": 1, **about}
    want = reference.causal_conv3d_ref(
        clip.double(), weight.double(), None if bias is None else bias.double(), **window
    )
    mine = machine.move(clip.contiguous(memory_format=LAST))
    got = causal_conv._clip_cuda(mine, weight, bias, *window.values())
    assert machine.launches == 1
    assert got.is_contiguous(memory_format=LAST)
    assert close(got, want)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("is_max", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_a_clip_is_pooled_as_by_torch(machine: Any, is_max: bool, inside: bool, dtype: Any) -> None:
    one = MAX if is_max else AVG
    clip = random((2, 16, 5, 7, 6), 1, dtype)
    window = ((2, 3, 3), (2, 2, 1), (1, 1))
    want = one.clip_other(clip.double(), *window, inside)
    got = one.clip_cuda(machine.move(clip.contiguous(memory_format=LAST)), *window, inside)
    assert machine.launches == 1
    assert close(got, want)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_steps_are_those_of_the_clip(machine: Any, dtype: Any) -> None:
    clip = random((2, 16, 9, 6, 5), 1, dtype)
    weight, bias = random((24, 16, 2, 3, 3), 2, dtype), random((24,), 3, dtype)
    window = ((2, 1, 1), (1, 1), (2, 1, 1))
    want = causal_conv._clip_other(clip.double(), weight.double(), bias.double(), *window)
    pooled = MAX.clip_other(clip, (2, 3, 3), (1, 2, 2), (1, 1))
    shape = (4, 2, 6, 5, 16)
    ring, rest = (machine.move(torch.full(shape, torch.nan, dtype=dtype)) for _ in range(2))
    for t in range(9):
        frame = machine.move(clip[:, :, t].contiguous(memory_format=torch.channels_last))
        y, valid = causal_conv._step_cuda(
            frame, ring.permute(0, 1, 4, 2, 3), t, weight, bias, *window
        )
        assert valid.tolist() == [t % 2 == 0] * 2
        assert close(y, want[:, :, t // 2]) if t % 2 == 0 else not y.any()
        maps = rest.permute(0, 1, 4, 2, 3)
        y, valid = MAX.step_cuda(frame, maps, t, (2, 3, 3), (1, 2, 2), (1, 1))
        assert torch.equal(y, pooled[:, :, t])
        assert valid.all()
    assert machine.launches == 5 + 9


def test_a_program_serves_tensors_of_other_addresses(machine: Any) -> None:
    weight = random((8, 8, 2, 3, 3), 2)
    for seed in range(6):
        clip = random((1, 8, 3, 5, 5), seed)
        want = causal_conv._clip_other(clip, weight, None)
        got = causal_conv._clip_cuda(machine.move(clip.contiguous(memory_format=LAST)), weight)
        assert close(got, want)
    assert device_op._program.cache_info().misses == 1


NOT_OURS = {
    "contiguous": random((1, 16, 3, 5, 5), 1),
    "float64": random((1, 16, 3, 5, 5), 1, torch.float64).contiguous(memory_format=LAST),
    "narrow pixels": random((1, 6, 3, 5, 5), 1).contiguous(memory_format=LAST),
    "gaps": random((1, 16, 3, 5, 10), 1).contiguous(memory_format=LAST)[..., ::2],
}


@pytest.mark.parametrize("case", NOT_OURS)
def test_all_else_runs_in_plain_torch(machine: Any, case: str) -> None:
    clip = NOT_OURS[case]
    weight = random((16, clip.shape[1], 2, 3, 3), 2, clip.dtype)
    got = causal_conv._clip_cuda(clip, weight)
    assert torch.equal(got, reference.causal_conv3d_ref(clip, weight))
    pooled = MAX.clip_cuda(clip, [2, 3, 3])
    assert torch.equal(pooled, reference.causal_max_pool3d_ref(clip, [2, 3, 3]))
    assert machine.launches == 0


def test_what_a_device_cannot_take_runs_in_plain_torch(machine: Any, monkeypatch: Any) -> None:
    def too_large(*_: object) -> None:
        raise ops.checks.InvalidArgumentError("[compile] too large: got 1, expected 0. Shrink it.")

    monkeypatch.setattr(device_op, "_plan", too_large)
    clip = machine.move(random((1, 16, 3, 5, 5), 1).contiguous(memory_format=LAST))
    weight = random((16, 16, 2, 3, 3), 2)
    got = causal_conv._clip_cuda(clip, weight)
    assert close(got, reference.causal_conv3d_ref(clip, weight))
    assert machine.launches == 0


@pytest.mark.parametrize("name", ops.library.SCHEMAS)
def test_every_operation_has_a_kernel_of_its_own_on_cuda(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"pvnet::{name}", "CUDA")


def test_results_keep_the_memory_format_of_the_clip_on_cuda() -> None:
    with torch._subclasses.FakeTensorMode():
        for layout in (torch.contiguous_format, LAST):
            clip = torch.empty((1, 16, 3, 5, 5), device="cuda", memory_format=layout)
            weight = torch.empty((8, 16, 2, 3, 3), device="cuda")
            assert ops.causal_conv3d(clip, weight).is_contiguous(memory_format=layout)
            assert ops.causal_max_pool3d(clip, (2, 3, 3)).is_contiguous(memory_format=layout)
