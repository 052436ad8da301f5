"""Moves of values and norms in the twin: torch's functions, and their gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from layer_graphs import LAYERS, MOVES, NORMS, layer_graph
from oracle import Oracle

import pvnet
from pvnet.nn import Network

NEW = [*MOVES, *NORMS, "corners", "corners of a line"]
CLIP = (2, 8, 3, 4, 6)


def network(build) -> Network:
    """A float64 network of one node, with weights that are not 1 and 0."""
    graph = pvnet.Graph()
    x = graph.input("frame", channels=CLIP[1], height=CLIP[3], width=CLIP[4])
    graph.output(build(graph, x), name="y")
    torch.manual_seed(0)
    net = Network(graph).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


def per_frame(function):
    """A function of maps on a clip."""

    def of_clip(net: Network, clip: torch.Tensor) -> torch.Tensor:
        return torch.stack([function(net, clip[:, :, t]) for t in range(clip.shape[2])], 2)

    return of_clip


def norm(name: str, net: Network, x: torch.Tensor) -> torch.Tensor:
    weight, bias = net.get_parameter(f"{name}.weight"), net.get_parameter(f"{name}.bias")
    if name == "group_norm_1":
        return F.silu(F.group_norm(x, 4, weight, bias, 1e-3))
    return F.layer_norm(x.movedim(1, -1), (8,), weight, bias, 1e-5).movedim(-1, 1)


CASES = {
    "pad": (
        lambda g, x: g.pad(x, (1, -2), padding_end=(-1, 3), value=0.5),
        lambda net, x: F.pad(x, (-2, 3, 1, -1), value=0.5),
    ),
    "reflect": (
        lambda g, x: g.pad(x, (3, 1), padding_end=(0, 5), mode="reflect"),
        lambda net, x: F.pad(x, (1, 5, 3, 0), mode="reflect"),
    ),
    "replicate": (
        lambda g, x: g.pad(x, 2, mode="replicate"),
        lambda net, x: F.pad(x, (2, 2, 2, 2), mode="replicate"),
    ),
    "flip": (
        lambda g, x: g.channel_select(x, range(7, -1, -1)),
        lambda net, x: x.flip(1),
    ),
    "slice": (lambda g, x: g.channel_select(x, range(1, 8, 3)), lambda net, x: x[:, 1::3]),
    "twice the same": (
        lambda g, x: g.channel_select(x, [3, 3, 0]),
        lambda net, x: x[:, [3, 3, 0]],
    ),
    "one": (lambda g, x: g.channel_select(x, [5]), lambda net, x: x[:, 5:6]),
    "shuffle": (lambda g, x: g.depth_to_space(x, 2), lambda net, x: F.pixel_shuffle(x, 2)),
    "unshuffle": (lambda g, x: g.space_to_depth(x, 2), lambda net, x: F.pixel_unshuffle(x, 2)),
    "group norm": (
        lambda g, x: g.group_norm(x, 4, norm_eps=1e-3, act="silu"),
        lambda net, x: norm("group_norm_1", net, x),
    ),
    "layer norm": (lambda g, x: g.layer_norm(x), lambda net, x: norm("layer_norm_1", net, x)),
    "corners": (
        lambda g, x: g.upsample(x, size=(7, 9), mode="bilinear", align_corners=True),
        lambda net, x: F.interpolate(x, size=(7, 9), mode="bilinear", align_corners=True),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_node_is_torch_s_function_and_has_its_gradients(case: str) -> None:
    build, function = CASES[case]
    net = network(build)
    clip = torch.randn(CLIP, dtype=torch.float64, requires_grad=True)
    got, want = net(clip)["y"], per_frame(function)(net, clip)
    torch.testing.assert_close(got, want)
    seed = torch.randn_like(want)
    inputs = [clip, *net.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(got, inputs, seed), torch.autograd.grad(want, inputs, seed)
    )


@pytest.mark.parametrize("layer", NEW)
def test_a_network_is_its_definition(layer: str) -> None:
    assert layer in LAYERS
    torch.manual_seed(1)
    graph = layer_graph(layer)
    net = Network(graph).double().eval()
    clip = torch.randn(2, 3, 5, 9, 8, dtype=torch.float64)
    with torch.no_grad():
        want = Oracle(graph, net.state_dict(), clip).output("y")
        torch.testing.assert_close(net(clip)["y"], want)


@pytest.mark.parametrize("taps", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_gradients_pass_a_batch_norm(case: str, taps: int) -> None:
    build, _ = CASES[case]
    net = network(lambda g, x: build(g, g.conv3d(x, 8, kernel=(taps, 1, 1), norm=True))).eval()
    clip = torch.randn(CLIP, dtype=torch.float64, requires_grad=True)
    want = Oracle(net.graph, dict(net.named_parameters()) | dict(net.named_buffers()), clip)
    for got in (net(clip)["y"], net.ticks(clip)["y"]):
        seed = torch.randn_like(got)
        found = torch.autograd.grad(got, clip, seed)
        expected = torch.autograd.grad(want.output("y"), clip, seed, retain_graph=True)
        torch.testing.assert_close(found, expected)


def test_norms_begin_as_ones_and_zeros() -> None:
    graph = layer_graph("group norm")
    state = Network(graph).state_dict()
    (name,) = (n.name for n in graph.nodes if n.op == "group_norm")
    assert torch.equal(state[f"{name}.weight"], torch.ones(6))
    assert torch.equal(state[f"{name}.bias"], torch.zeros(6))
