"""Real torch tensors on a real device: no copy, torch's current cuda_stream, captured graphs, and
the operations of pvnet.ops."""

from __future__ import annotations

import pytest
import torch
from test_device_ticks import floats, images, run_on_host, small_plan

from pvnet import ops

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def plan_here(batch: int = 1):
    return small_plan(batch, isa=None, executor="auto")


@pytest.mark.parametrize("side", [False, True])
def test_ticks_give_the_bits_of_host_frames_without_a_copy(side: bool) -> None:
    plan = plan_here(2)
    for frames in (floats(2), images(2)):
        want = run_on_host(plan, frames)
        stream = plan.stream()
        with torch.cuda.stream(torch.cuda.Stream() if side else None):
            frame = torch.empty(frames[0].shape, dtype=torch.from_numpy(frames[0]).dtype).cuda()
            for t, host in enumerate(frames):
                frame.copy_(torch.from_numpy(host))
                tick = stream.tick(frame)
                y = torch.from_dlpack(tick["y"])
                assert y.data_ptr() == tick["y"].__cuda_array_interface__["data"][0]
                assert torch.equal(y.cpu(), torch.from_numpy(want[t]["y"]))
                assert tick.finite


def test_another_cuda_stream_may_be_named() -> None:
    plan, frames = plan_here(), floats()
    want = run_on_host(plan, frames)
    stream, side = plan.stream(), torch.cuda.Stream()
    for t, host in enumerate(frames):
        tick = stream.tick(torch.from_numpy(host).cuda(), cuda_stream=side)
        with torch.cuda.stream(side):
            assert torch.equal(torch.from_dlpack(tick["y"]).cpu(), torch.from_numpy(want[t]["y"]))


def test_a_captured_tick_is_replayed() -> None:
    plan, frames = plan_here(), floats()
    want = run_on_host(plan, frames)
    stream, graph = plan.stream(), torch.cuda.CUDAGraph()
    frame = torch.zeros(frames[0].shape, device="cuda")
    with torch.cuda.graph(graph):
        y = torch.from_dlpack(stream.tick(frame)["y"])
    for t, host in enumerate(frames):
        frame.copy_(torch.from_numpy(host))
        graph.replay()
        assert torch.equal(y.cpu(), torch.from_numpy(want[t]["y"]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_operations_are_those_of_plain_torch(dtype: torch.dtype) -> None:
    tolerance = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}[dtype]
    clip = torch.randn(2, 32, 4, 14, 14, device="cuda", dtype=dtype)
    clip = clip.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    weight = torch.randn(48, 32, 3, 3, 3, device="cuda", dtype=dtype, requires_grad=True)
    got = ops.causal_conv3d(clip, weight, padding=1)
    want = ops.reference.causal_conv3d_ref(clip.double(), weight.double(), padding=(1, 1))
    assert ((got.double() - want).abs().max() <= tolerance * want.abs().max()).item()
    assert got.is_contiguous(memory_format=torch.channels_last_3d)
    got.sum().backward()
    assert clip.grad is not None
    assert weight.grad is not None
    args = (clip.detach(), weight.detach())
    torch.library.opcheck(torch.ops.pvnet.causal_conv3d.default, args)
    torch.library.opcheck(torch.ops.pvnet.causal_max_pool3d.default, (args[0], [2, 3, 3]))
