"""Concats of the torch twin: what they share, and what their gradients are."""

from __future__ import annotations

import pytest
import torch

from pvnet.graph import Graph
from pvnet.models import par_densenet
from pvnet.nn import Network
from pvnet.nn.frames import _LONG_RUN, FRAME_OPERATIONS
from pvnet.nn.program import build_program

join = FRAME_OPERATIONS["concat"]


def maps(channels, dtype, layout):
    torch.manual_seed(0)
    return [
        torch.randn(2, c, 5, 4, dtype=dtype)
        .contiguous(memory_format=layout)
        .requires_grad_(requires_grad=True)
        for c in channels
    ]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("channels", [(3, 5), (_LONG_RUN, 2, 7), (1, 1)])
def test_values_and_gradients_are_those_of_cat(channels, layout):
    ours, theirs = (maps(channels, torch.float64, layout) for _ in range(2))
    weight = torch.randn(2, sum(channels), 5, 4, dtype=torch.float64)
    weight = weight.contiguous(memory_format=layout)
    out, want = join({}, None, ours), torch.cat(theirs, dim=1)
    assert torch.equal(out, want)
    (out * weight).sum().backward()
    (want * weight).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.grad, b.grad)
    small = maps((2, 3), torch.float64, layout)
    assert torch.autograd.gradgradcheck(lambda *xs: join({}, None, xs).square(), small)


def test_gradients_are_maps_of_their_own():
    seen = []
    x, y = maps((4, 6), torch.float32, torch.channels_last)
    a, b = x.relu(), y.relu()
    for z in (a, b):
        z.register_hook(lambda g: seen.append(g.is_contiguous(memory_format=torch.channels_last)))
    join({}, None, [a, b]).square().sum().backward()
    assert seen == [True, True]


def test_mixed_types_keep_their_own_gradients():
    x = maps((3,), torch.float32, torch.channels_last)[0]
    y = maps((5,), torch.bfloat16, torch.channels_last)[0]
    join({}, None, [x, y]).float().sum().backward()
    assert x.grad.dtype == torch.float32
    assert y.grad.dtype == torch.bfloat16


def test_a_dense_block_makes_its_concats_longer():
    graph = par_densenet(width=0.125, size=32).graph
    longer = build_program(graph).longer
    assert longer["block1/layer4/input"].name == "block1/layer3/input"
    assert longer["transition1/input"].name == "block1/layer4/input"
    assert "block1/layer2/input" not in longer  # one map and another: nothing to take
    cut = graph.wire("predictive", 14)
    for name, begun in build_program(cut).longer.items():
        step = next(s for s in build_program(cut).steps if s.name == name)
        assert step.reads[: len(begun.reads)] == begun.reads


def test_only_the_same_firings_are_shared():
    g = Graph()
    x = g.input("x", channels=2, height=4, width=4)
    a = g.conv3d(x, 3, kernel=(1, 1, 1), name="a")
    b = g.conv3d(x, 4, kernel=(1, 1, 1), name="b")
    slow = g.conv3d(x, 3, kernel=(1, 1, 1), stride=(2, 1, 1), name="slow")
    short = g.concat([a, b], name="short")
    g.concat([b, a, x], name="other_order")
    g.concat([slow, a, b], name="slower")
    long = g.concat([a, b, x], name="long")
    g.output(g.conv3d(short, 1, kernel=(1, 1, 1), name="p"), name="p")
    g.output(g.conv3d(long, 1, kernel=(1, 1, 1), name="q"), name="q")
    assert {k: s.name for k, s in build_program(g).longer.items()} == {"long": "short"}
    net = Network(g)
    clip = torch.randn(2, 2, 3, 4, 4)
    out = net(clip)
    h = torch.cat([*(net_of(net, n, clip) for n in ("a", "b")), clip], dim=1)
    want = torch.nn.functional.conv3d(h, net.get_parameter("q.weight"), net.get_parameter("q.bias"))
    torch.testing.assert_close(out["q"], want)


def net_of(net, name, clip):
    return torch.nn.functional.conv3d(
        clip, net.get_parameter(f"{name}.weight"), net.get_parameter(f"{name}.bias")
    )
