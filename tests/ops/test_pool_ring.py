"""Causal pools and rings: against torch, steps against clips, and what they must refuse."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from pvnet import ops  # noqa: E402
from pvnet.errors import InvalidArgumentError  # noqa: E402

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"


def rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


KINDS = {
    "max": (ops.causal_max_pool3d, ops.causal_max_pool3d_step, {}),
    "avg": (ops.causal_avg_pool3d, ops.causal_avg_pool3d_step, {}),
    "avg inside": (
        ops.causal_avg_pool3d,
        ops.causal_avg_pool3d_step,
        {"count_include_pad": False},
    ),
}


def oracle(kind, clip, kernel, stride, padding):
    padded = F.pad(clip, (0, 0, 0, 0, kernel[0] - 1, 0))
    if kind == "max":
        return F.max_pool3d(padded, kernel, stride, (0, *padding))
    return F.avg_pool3d(
        padded, kernel, stride, (0, *padding), count_include_pad=kind != "avg inside"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel_t", [1, 2, 3])
@pytest.mark.parametrize("stride_t", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_the_clip_and_the_clip_is_torch(kind, kernel_t, stride_t, dtype):
    pool, step, options = KINDS[kind]
    # values below zero only: a missing frame is 0 and must win the maximum
    clip = rand(2, 3, 7, 6, 5, dtype=dtype).abs().neg().transpose(-1, -2)
    kernel, window = (kernel_t, 3, 2), {"stride": (stride_t, 2, 1), "padding": (1, 0)}
    y = pool(clip, kernel, **window, **options)
    assert y.is_contiguous()
    torch.testing.assert_close(y, oracle(kind, clip, kernel, window["stride"], (1, 0)))
    for depth in (kernel_t, kernel_t + 2):
        ring = torch.full((depth, *clip[:, :, 0].shape), float("nan"), dtype=dtype)
        due = []
        for tick in range(clip.shape[2]):
            frame = clip[:, :, tick]
            out, valid = step(frame, ring, tick, kernel, **window, **options)
            assert valid.tolist() == [tick % stride_t == 0] * 2
            if valid.all():
                due.append(out)
            else:
                assert not out.any()
        torch.testing.assert_close(torch.stack(due, 2), y)


def test_max_pool_in_plain_torch_lets_nan_through():
    clip = rand(1, 1, 1, 4, 4, dtype=torch.float64)
    clip[..., 1, 1] = float("nan")
    y = ops.causal_max_pool3d(clip, (1, 2, 2))
    assert y.isnan().sum() == 4


@pytest.mark.parametrize("kind", KINDS)
def test_pools_refuse_bad_arguments(kind):
    pool, step, _ = KINDS[kind]
    clip, ring = rand(1, 2, 3, 4, 4), torch.zeros(2, 1, 2, 4, 4)
    bad = [
        lambda: pool(clip[0], 2),
        lambda: pool(clip.int(), 2),
        lambda: pool(clip[:0], 2),
        lambda: pool(clip, (1, 5, 1)),
        lambda: pool(clip, (1, 2, 2), padding=2),
        lambda: pool(clip, (1, 2)),
        lambda: pool(clip, 0),
        lambda: pool(clip.numpy(), 2),
        lambda: step(clip[:, :, 0], ring, 0, (3, 1, 1)),
        lambda: step(clip[:, :, 0], ring, -1, 1),
        lambda: step(clip[:, :1, 0], ring, 0, 1),
        lambda: step(clip[:, :, 0].requires_grad_(), ring, 0, 1),
    ]
    for call in bad:
        with pytest.raises(InvalidArgumentError, match=MESSAGE):
            call()
    assert not ring.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_ring_reads_what_was_written(depth, dtype):
    frames = (100 * rand(12, 2, 3, 4, 5)).to(dtype).transpose(-1, -2)
    ring = torch.full((depth, *frames[0].shape), 99, dtype=dtype)
    reference = ring.clone()
    for tick in range(12):
        ops.ring_write(ring, tick, frames[tick])
        ops.reference.ring_write_ref(reference, tick, frames[tick])
        assert torch.equal(ring, reference)
        for delay in range(depth):
            x = ops.ring_read(ring, tick, delay)
            expected = frames[tick - delay] if tick >= delay else torch.zeros_like(frames[0])
            assert torch.equal(x, expected)
            assert torch.equal(x, ops.reference.ring_read_ref(ring, tick, delay))
            assert x.untyped_storage().data_ptr() != ring.untyped_storage().data_ptr()


def test_ring_write_counts_for_autograd():
    """A tensor saved for backward and then overwritten must be noticed."""
    ring, x = torch.ones(1, 1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    weight = torch.ones(2, 2, requires_grad=True)
    y = (ring * weight).sum()
    ops.ring_write(ring, 0, x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_rings_work_in_inference_mode():
    with torch.inference_mode():
        ring = torch.zeros(2, 1, 1, 2, 2)
        ops.ring_write(ring, 0, torch.ones(1, 1, 2, 2))
        assert ops.ring_read(ring, 0, 0).sum() == 4
    ops.ring_write(ring, 1, torch.ones(1, 1, 2, 2))
    assert ring.sum() == 8


def test_rings_refuse_bad_arguments():
    ring, x = torch.zeros(2, 1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    bad = [
        lambda: ops.ring_write(ring, -1, x),
        lambda: ops.ring_write(ring, 0, x[0]),
        lambda: ops.ring_write(ring, 0, torch.zeros(1, 1, 2, 3)),
        lambda: ops.ring_write(ring, 0, x.double()),
        lambda: ops.ring_write(ring, 0, x.to("meta")),
        lambda: ops.ring_write(ring[:0], 0, x),
        lambda: ops.ring_read(ring, 0, 2),
        lambda: ops.ring_read(ring, 0, -1),
        lambda: ops.ring_read(ring, -1, 0),
        lambda: ops.ring_read(ring.requires_grad_(), 0, 0),
    ]
    for call in bad:
        with pytest.raises(InvalidArgumentError, match=MESSAGE):
            call()


def test_every_operation_is_a_quartet():
    for name in ("causal_conv3d", "causal_max_pool3d", "causal_avg_pool3d"):
        for fn in (name, name + "_step"):
            assert callable(getattr(ops, fn))
            assert callable(getattr(ops.reference, fn + "_ref"))
            assert hasattr(torch.ops.pvnet, fn)
    for name in ("ring_read", "ring_write"):
        assert callable(getattr(ops, name))
        assert callable(getattr(ops.reference, name + "_ref"))
        assert hasattr(torch.ops.pvnet, name)
