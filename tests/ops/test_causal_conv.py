"""causal_conv3d: against F.conv3d(F.pad), steps against clips, layouts, and what it must refuse."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from pvnet import ops  # noqa: E402
from pvnet.errors import InvalidArgumentError  # noqa: E402

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"
# float32 sums of up to 6 * 125 products of unit normals, in another order than torch's
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def rand(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def oracle(clip, weight, bias, stride, padding, dilation, groups):
    past = (weight.shape[2] - 1) * dilation[0]
    padded = F.pad(clip, (0, 0, 0, 0, past, 0))
    return F.conv3d(padded, weight, bias, stride, (0, *padding), dilation, groups)


def steps(clip, weight, bias, *, depth=None, dtype=torch.float32, step=None, **window):
    """The outputs of all due ticks, stacked; the ring starts as garbage."""
    step = step or ops.causal_conv3d_step
    dilation = window.get("dilation", (1, 1, 1))
    depth = depth or (weight.shape[2] - 1) * dilation[0] + 1
    ring = torch.full((depth, *clip[:, :, 0].shape), float("nan"), dtype=dtype)
    due = []
    for tick in range(clip.shape[2]):
        y, valid = step(clip[:, :, tick], ring, tick, weight, bias, **window)
        assert valid.dtype == torch.bool
        assert valid.shape == (clip.shape[0],)
        assert bool(valid.all()) == bool(valid.any()) == (tick % window["stride"][0] == 0)
        if valid.all():
            due.append(y)
        else:
            assert not y.any()
    return torch.stack(due, 2)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride_t", [1, 2, 3])
@pytest.mark.parametrize("dilation_t", [1, 2])
@pytest.mark.parametrize("batch", [1, 2])
def test_steps_are_the_clip_and_the_clip_is_torch(kernel, stride_t, dilation_t, batch):
    clip, weight, bias = rand(batch, 3, 8, 6, 5), rand(4, 3, kernel, 3, 3), rand(4)
    window = {"stride": (stride_t, 1, 2), "padding": (1, 1), "dilation": (dilation_t, 1, 1)}
    y = ops.causal_conv3d(clip, weight, bias, **window)
    expected = oracle(clip, weight, bias, window["stride"], (1, 1), window["dilation"], 1)
    torch.testing.assert_close(y, expected, **TOLERANCE)
    due = steps(clip, weight, bias, **window)
    torch.testing.assert_close(due, y, rtol=0, atol=0)
    # A ring with spare slots gives the same bits.
    spare = steps(clip, weight, bias, depth=(kernel - 1) * dilation_t + 3, **window)
    torch.testing.assert_close(spare, y, rtol=0, atol=0)


@pytest.mark.parametrize(("groups", "out"), [(1, 36), (2, 4), (6, 6), (6, 12), (3, 99)])
@pytest.mark.parametrize("dilation", [(1, 1, 1), (2, 2, 1)])
def test_groups_depthwise_and_spatial_dilation(groups, out, dilation):
    clip, weight, bias = rand(2, 6, 5, 7, 8), rand(out, 6 // groups, 2, 3, 3), rand(out)
    window = {"stride": (1, 2, 1), "padding": (2, 0), "dilation": dilation, "groups": groups}
    y = ops.causal_conv3d(clip, weight, bias, **window)
    expected = oracle(clip, weight, bias, (1, 2, 1), (2, 0), dilation, groups)
    torch.testing.assert_close(y, expected, **TOLERANCE)
    torch.testing.assert_close(steps(clip, weight, bias, **window), y, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_reference_steps_are_the_reference_clip(dtype):
    clip, weight = rand(2, 3, 7, 5, 4, dtype=dtype), rand(2, 3, 3, 3, 3, dtype=dtype)
    window = {"stride": (2, 1, 1), "padding": (1, 1), "dilation": (2, 1, 1)}
    y = ops.reference.causal_conv3d_ref(clip, weight, None, **window)
    ref = ops.reference.causal_conv3d_step_ref
    due = steps(clip, weight, None, dtype=dtype, step=ref, **window)
    torch.testing.assert_close(due, y)
    torch.testing.assert_close(ops.causal_conv3d(clip, weight, None, **window), y)
    torch.testing.assert_close(steps(clip, weight, None, dtype=dtype, **window), y)


def test_one_integer_stands_for_all_axes_and_bias_is_optional():
    clip, weight = rand(1, 2, 4, 6, 6), rand(3, 2, 2, 3, 3)
    y = ops.causal_conv3d(clip, weight, stride=2, padding=1, dilation=1)
    expected = oracle(clip, weight, None, (2, 2, 2), (1, 1), (1, 1, 1), 1)
    torch.testing.assert_close(y, expected, **TOLERANCE)


LAYOUTS = {
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last_3d),
    "transposed": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
    "sliced": lambda x: torch.cat([x, x], 2)[:, :, ::2].repeat_interleave(2, 2)[:, :, : x.shape[2]],
    "expanded": lambda x: x[:1].expand(x.shape),
    "offset": lambda x: F.pad(x, (3, 2, 1, 1))[..., 1:-1, 3:-2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_bits(layout):
    clip = LAYOUTS[layout](rand(2, 3, 4, 5, 6))
    weight = LAYOUTS[layout](rand(4, 3, 3, 3, 3))
    assert not (clip.is_contiguous() and weight.is_contiguous())
    bias = rand(8)[::2]
    window = {"stride": (1, 1, 1), "padding": (1, 1)}
    y = ops.causal_conv3d(clip, weight, bias, **window)
    dense = [x.clone(memory_format=torch.contiguous_format) for x in (clip, weight, bias)]
    torch.testing.assert_close(y, ops.causal_conv3d(*dense, **window), rtol=0, atol=0)
    assert y.is_contiguous()
    # and a ring that is itself a strided view
    ring = torch.full((3, 2, 5, 6, 3), float("nan")).permute(0, 1, 4, 2, 3)
    for tick in range(4):
        due, _ = ops.causal_conv3d_step(clip[:, :, tick], ring, tick, weight, bias, **window)
        torch.testing.assert_close(due, y[:, :, tick], rtol=0, atol=0)


def test_the_number_of_threads_does_not_change_a_bit():
    clip, weight = rand(1, 16, 6, 40, 40), rand(32, 16, 3, 3, 3)
    threads = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 5):
            torch.set_num_threads(n)
            results.append(ops.causal_conv3d(clip, weight, padding=1))
    finally:
        torch.set_num_threads(threads)
    for y in results[1:]:
        torch.testing.assert_close(y, results[0], rtol=0, atol=0)


def test_changing_a_frame_changes_no_earlier_output():
    clip, weight = rand(1, 2, 8, 4, 4), rand(2, 2, 3, 3, 3)
    before = ops.causal_conv3d(clip, weight, padding=1)
    changed = clip.clone()
    changed[:, :, 5] += 1
    after = ops.causal_conv3d(changed, weight, padding=1)
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert not torch.equal(before[:, :, 5], after[:, :, 5])


def test_half_precisions_run_as_plain_torch():
    clip, weight = rand(1, 2, 3, 4, 4, dtype=torch.bfloat16), rand(2, 2, 2, 1, 1).bfloat16()
    y = ops.causal_conv3d(clip, weight)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, ops.reference.causal_conv3d_ref(clip, weight))


FRAME, CLIP, WEIGHT, RING = (1, 4, 5, 5), (1, 4, 3, 5, 5), (2, 4, 3, 3, 3), (3, 1, 4, 5, 5)
BAD_CLIPS = {
    "rank": (rand(*FRAME), rand(*WEIGHT), None, {}),
    "no tensor": (None, rand(*WEIGHT), None, {}),
    "empty": (torch.zeros(0, 4, 3, 5, 5), rand(*WEIGHT), None, {}),
    "empty time": (torch.zeros(1, 4, 0, 5, 5), rand(*WEIGHT), None, {}),
    "channels": (rand(*CLIP), rand(2, 3, 3, 3, 3), None, {}),
    "bias": (rand(*CLIP), rand(*WEIGHT), rand(3), {}),
    "bias rank": (rand(*CLIP), rand(*WEIGHT), rand(2, 1), {}),
    "dtypes": (rand(*CLIP), rand(*WEIGHT).double(), None, {}),
    "integers": (torch.zeros(CLIP, dtype=torch.int32), rand(*WEIGHT), None, {}),
    "device": (rand(*CLIP), rand(*WEIGHT).to("meta"), None, {}),
    "groups": (rand(*CLIP), rand(*WEIGHT), None, {"groups": 3}),
    "groups 0": (rand(*CLIP), rand(*WEIGHT), None, {"groups": 0}),
    "stride": (rand(*CLIP), rand(*WEIGHT), None, {"stride": (1, 0, 1)}),
    "stride length": (rand(*CLIP), rand(*WEIGHT), None, {"stride": (1, 1)}),
    "stride type": (rand(*CLIP), rand(*WEIGHT), None, {"stride": (1, 1.5, 1)}),
    "padding": (rand(*CLIP), rand(*WEIGHT), None, {"padding": -1}),
    "dilation": (rand(*CLIP), rand(*WEIGHT), None, {"dilation": (1, 3, 1)}),
    "huge": (rand(*CLIP), rand(*WEIGHT), None, {"padding": 1 << 40}),
}


@pytest.mark.parametrize("case", BAD_CLIPS)
def test_a_convolution_of_a_clip_refuses_bad_arguments(case):
    clip, weight, bias, window = BAD_CLIPS[case]
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        ops.causal_conv3d(clip, weight, bias, **window)


BAD_STEPS = {
    "ring rank": (rand(*FRAME), rand(*CLIP)[0], 0),
    "ring batch": (rand(*FRAME), rand(3, 2, 4, 5, 5), 0),
    "ring too short": (rand(*FRAME), rand(2, 1, 4, 5, 5), 0),
    "ring dtype": (rand(*FRAME), rand(*RING).double(), 0),
    "ring device": (rand(*FRAME), rand(*RING).to("meta"), 0),
    "frame rank": (rand(*CLIP), rand(*RING), 0),
    "tick": (rand(*FRAME), rand(*RING), -1),
    "requires grad": (rand(*FRAME).requires_grad_(), rand(*RING), 0),
}


@pytest.mark.parametrize("case", BAD_STEPS)
def test_step_refusals_leave_the_ring_alone(case):
    frame, ring, tick = BAD_STEPS[case]
    before = ring.clone()
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        ops.causal_conv3d_step(frame, ring, tick, rand(*WEIGHT))
    assert ring.is_meta or torch.equal(ring, before)


def test_the_core_checks_for_itself():
    """Calls that bypass pvnet.ops must raise, too, and never touch memory outside an array."""
    from pvnet import _core

    clip, weight, out = rand(*CLIP), rand(*WEIGHT), torch.empty(1, 2, 3, 3, 3)
    good = [clip, weight, None, out, [1, 1, 1], [0, 0], [1, 1, 1], 1]
    _core.ops.causal_conv3d(*good)
    torch.testing.assert_close(out, ops.causal_conv3d(clip, weight))
    bad = itertools.chain(
        [(0, clip.double()), (0, clip[0]), (0, clip[:0]), (1, weight[:, :3]), (2, rand(7))],
        [(3, out[:, :, :2]), (3, torch.empty(1, 2, 3, 3, 4)[..., :3]), (3, out.to("meta"))],
        [(4, [0, 1, 1]), (5, [-1, 0]), (6, [1, 9, 1]), (7, 0), (7, 3), (7, -1), (0, [1.0])],
    )
    for index, value in bad:
        with pytest.raises(InvalidArgumentError, match=MESSAGE):
            _core.ops.causal_conv3d(*good[:index], value, *good[index + 1 :])
