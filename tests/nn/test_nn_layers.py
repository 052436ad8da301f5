"""Every layer: step by step = the whole clip, values and gradients in float64; states explicit."""

from __future__ import annotations

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pvnet.errors import InvalidArgumentError
from pvnet.nn import (
    CausalAvgPool3d,
    CausalConv3d,
    CausalMaxPool3d,
    Delay,
    GlobalPool,
    Normalize,
)

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)

LAYERS = {
    "conv 1x1x1": CausalConv3d(2, 3, 1),
    "conv 3x3x3": CausalConv3d(2, 3, 3, padding=1),
    "conv stride 2, dilation": CausalConv3d(
        4, 4, (3, 3, 2), stride=(2, 2, 1), padding=(1, 0), dilation=(2, 1, 2), groups=2, bias=False
    ),
    "conv stride 3": CausalConv3d(2, 2, (2, 1, 1), stride=(3, 1, 1)),
    "max pool": CausalMaxPool3d((3, 3, 3), stride=(2, 2, 2), padding=1),
    "max pool wide padding": CausalMaxPool3d((1, 2, 2), stride=1, padding=(1, 1)),
    "avg pool": CausalAvgPool3d((2, 3, 3), stride=(1, 2, 1), padding=1),
    "avg pool inside": CausalAvgPool3d((3, 2, 2), padding=1, count_include_pad=False),
    "global pool": GlobalPool(window=3),
    "delay": Delay(2),
    "no delay": Delay(0),
    "normalize": Normalize([0.1, 0.2], [2.0, 0.5]),
}


def start(layer, clip):
    options = {} if isinstance(layer, CausalConv3d) else {"dtype": clip.dtype}
    if isinstance(layer, CausalMaxPool3d | CausalAvgPool3d | GlobalPool | Delay):
        options["channels"] = clip.shape[1]
    return layer.init_state(clip.shape[0], *clip.shape[3:], **options)


def make(name, ticks=7, size=(6, 5)):
    layer = copy.deepcopy(LAYERS[name]).double()
    channels = getattr(layer, "in_channels", 2)
    g = torch.Generator().manual_seed(3)
    clip = torch.randn(2, channels, ticks, *size, generator=g, dtype=torch.float64)
    return layer, clip.requires_grad_()


def run_steps(layer, clip):
    state, ys, valids = start(layer, clip), [], []
    for t in range(clip.shape[2]):
        y, valid, state = layer.step(clip[:, :, t], state)
        ys.append(y)
        valids.append(valid)
    return torch.stack(ys, 2), torch.stack(valids, 1)


@pytest.mark.parametrize("name", LAYERS)
def test_step_is_clip(name):
    layer, clip = make(name)
    stride = getattr(layer, "stride", (1,))[0]
    y = layer(clip)
    steps, valid = run_steps(layer, clip)
    torch.testing.assert_close(steps[:, :, ::stride], y)
    for t in range(clip.shape[2]):  # held between firings
        assert torch.equal(steps[:, :, t], steps[:, :, t - t % stride])
    first = layer.ticks if isinstance(layer, Delay) else 0
    assert valid.tolist() == [[t >= first for t in range(clip.shape[2])]] * 2
    weight = torch.randn_like(y)
    wanted = [clip, *layer.parameters()]
    one = torch.autograd.grad((y * weight).sum(), wanted)
    other = torch.autograd.grad((steps[:, :, ::stride] * weight).sum(), wanted)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_never_looks_ahead(name):
    layer, clip = make(name)
    stride = getattr(layer, "stride", (1,))[0]
    changed = clip.detach().clone()
    changed[:, :, 4] += 1
    before, after = layer(clip), layer(changed)
    same = [torch.equal(before[:, :, j], after[:, :, j]) for j in range(before.shape[2])]
    assert all(s for j, s in enumerate(same) if j * stride < 4)


@pytest.mark.parametrize("name", LAYERS)
def test_state_is_never_changed_or_aliased(name):
    layer, clip = make(name)
    clip = clip.detach()
    _, _, state = layer.step(clip[:, :, 0], start(layer, clip))
    kept = [x.clone() for x in state]
    y, _, new = layer.step(clip[:, :, 1], state)
    y.fill_(float("nan"))
    for x in new:
        x.fill_(9)
    for x, k in zip(state, kept, strict=True):
        assert torch.equal(x, k)
    again, _, _ = layer.step(clip[:, :, 1], state)
    assert torch.isfinite(again).all()


@pytest.mark.parametrize("name", LAYERS)
def test_other_batch_or_size_is_an_error(name):
    layer, clip = make(name)
    state = start(layer, clip)
    for frame in (clip[:1, :, 0], clip[:, :, 0, :-1], clip[..., :-1][:, :, 0], clip):
        with pytest.raises(InvalidArgumentError) as error:
            layer.step(frame, state)
        assert MESSAGE.match(str(error.value))
    for wrong in (clip[:, :, 0], clip[:, :, :0]):
        with pytest.raises(InvalidArgumentError) as error:
            layer(wrong)
        assert MESSAGE.match(str(error.value))
    with pytest.raises(InvalidArgumentError) as error:
        start(layer, clip[:0])
    assert MESSAGE.match(str(error.value))


def test_constructors_refuse_bad_arguments():
    for make_layer in (
        lambda: CausalConv3d(1, 1, 3, padding=(1, 1, 1)),
        lambda: Delay(-1),
        lambda: Normalize([0.0], [0.0]),
    ):
        with pytest.raises(InvalidArgumentError) as error:
            make_layer()
        assert MESSAGE.match(str(error.value))


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.tuples(*[st.integers(1, 3)] * 3),
    stride=st.tuples(*[st.integers(1, 2)] * 3),
    dilation=st.tuples(*[st.integers(1, 2)] * 3),
    ticks=st.integers(1, 6),
)
def test_conv_is_conv3d_of_the_padded_clip(kernel, stride, dilation, ticks):
    plain = torch.nn.Conv3d(2, 3, kernel, stride, (0, 1, 1), dilation).double()
    layer = CausalConv3d(2, 3, kernel, stride=stride, padding=1, dilation=dilation).double()
    layer.load_state_dict(plain.state_dict())
    clip = torch.randn(1, 2, ticks, 5, 5, dtype=torch.float64)
    past = (kernel[0] - 1) * dilation[0]
    expected = plain(F.pad(clip, (0, 0, 0, 0, past, 0)))
    torch.testing.assert_close(layer(clip), expected)
    torch.testing.assert_close(run_steps(layer, clip)[0][:, :, :: stride[0]], expected)


# torch.compile looks at .grad of the state it is handed, which warns by itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("name", ["conv stride 2, dilation", "max pool", "delay", "global pool"])
def test_step_compiles_and_exports(name):
    layer, clip = make(name)
    layer, clip = layer.float(), clip.detach().float()

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, frame, state):
            return self.layer.step(frame, state)

    state = start(layer, clip)
    compiled = torch.compile(Step(), backend="aot_eager", fullgraph=True)
    exported = torch.export.export(Step(), (clip[:, :, 0], state)).module()
    states = [state, state, state]
    for t in range(4):
        results = [f(clip[:, :, t], s) for f, s in zip((Step(), compiled, exported), states)]
        for y, valid, _ in results[1:]:
            torch.testing.assert_close(y, results[0][0])
            assert torch.equal(valid, results[0][1])
        states = [r[2] for r in results]
