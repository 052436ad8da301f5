"""Network in train mode, in other dtypes, compiled, with hostile names and several inputs."""

from __future__ import annotations

import json

import pytest
import torch
from random_graphs import random_graph

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.nn import Network


def graph_of(nodes, *, output):
    """A graph from (name, op, inputs, attrs)."""
    specs = [{"name": n, "op": op, "inputs": i, "stage": 0, "attrs": a} for n, op, i, a in nodes]
    spec = {
        "format": "pvnet-graph",
        "version": 1,
        "wiring": "sequential",
        "nodes": specs,
        "outputs": [{"name": "main", "node": output}],
    }
    return pvnet.Graph.from_json(json.dumps(spec))


def frame(name="frame", c=2, size=4, **attrs):
    return (name, "input", [], {"channels": c, "height": size, "width": size, **attrs})


def conv(name, source, **attrs):
    return (name, "conv3d", [source], {"out": 3, "kernel": [2, 3, 3], "padding": [1, 1], **attrs})


NAMES = ["training", "forward", "weight", "_modules", "graph", "a/b-c", "_program", "step", "bias"]


@pytest.mark.parametrize("name", NAMES)
def test_any_node_name(name):
    net = Network(graph_of([frame(), conv(name, "frame", norm=True)], output=name))
    clip = torch.randn(1, 2, 3, 4, 4)
    expected = net.eval()(clip)["main"]
    keys = set(net.state_dict())
    assert {f"{name}.weight", f"{name}.bias", f"{name}.norm.weight"} <= keys
    assert {k for k, _ in net.named_parameters()} <= keys
    other = Network(net.graph).train().eval()
    other.load_state_dict(net.state_dict())
    assert not other.training
    assert torch.equal(other(clip)["main"], expected)


def test_norm_uses_the_statistics_of_real_firings():
    nodes = [frame(), conv("a", "frame", norm=True, stride=[2, 1, 1]), conv("b", "a", act="relu")]
    graph = graph_of(nodes, output="b").wire("predictive", stages=[["frame", "a"], ["b"]])
    net = Network(graph).double().train()
    clip = torch.randn(2, 2, 7, 4, 4, dtype=torch.float64)
    plain = torch.nn.functional.conv3d(
        torch.nn.functional.pad(clip, (0, 0, 0, 0, 1, 0)),
        net.state_dict()["a.weight"],
        net.state_dict()["a.bias"],
        stride=(2, 1, 1),
        padding=(0, 1, 1),
    )
    value = net.features(clip, ["a"])["a"]
    firings = value[:, :, ::2]
    torch.testing.assert_close(firings.mean((0, 2, 3, 4)), torch.zeros(3).double())
    state = net.state_dict()
    torch.testing.assert_close(state["a.norm.running_mean"], 0.1 * plain.mean((0, 2, 3, 4)))
    assert state["a.norm.num_batches_tracked"] == 1
    before = state["a.norm.running_mean"].clone()
    net.eval()(clip)
    assert torch.equal(net.state_dict()["a.norm.running_mean"], before)


@pytest.mark.parametrize("train", [False, True])
def test_norm_of_single_pixels_has_the_right_gradient(train):
    """Torch's own batch norm mixes up memory orders of gradient and input for h = w = 1."""
    nodes = [
        frame(),
        ("pool", "global_pool", ["frame"], {}),
        ("a", "conv3d", ["pool"], {"out": 2, "kernel": [1, 1, 1], "norm": True}),
        ("head", "linear", ["a"], {"out": 3}),
    ]
    net = Network(graph_of(nodes, output="head")).double().train(train)
    clip = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: net(x)["main"], clip)


def test_uint8_frames_are_normalised():
    graph = graph_of([frame(mean=[0.2, 0.4], std=[0.5, 0.25]), conv("a", "frame")], output="a")
    net = Network(graph)
    raw = torch.randint(0, 256, (1, 2, 3, 4, 4), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(2, 1, 1, 1) for v in ([0.2, 0.4], [0.5, 0.25]))
    torch.testing.assert_close(net(raw)["main"], net((raw / 255 - mean) / std)["main"])
    torch.testing.assert_close(net.ticks(raw)["main"], net(raw)["main"])


def test_several_inputs_are_clips_by_name_of_one_length():
    nodes = [frame("rgb"), frame("depth", c=1), ("both", "concat", ["rgb", "depth"], {})]
    net = Network(graph_of([*nodes, conv("a", "both")], output="a"))
    clips = {"rgb": torch.randn(1, 2, 5, 4, 4), "depth": torch.randn(1, 1, 5, 4, 4)}
    torch.testing.assert_close(net(clips)["main"], net.ticks(clips)["main"])
    for wrong in (
        clips["rgb"],
        {"rgb": clips["rgb"]},
        {**clips, "depth": clips["depth"][:, :, 1:]},
    ):
        with pytest.raises(InvalidArgumentError):
            net(wrong)


@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize(("seed", "feedback"), [(3, False), (5, True)])
def test_compiles_as_one_graph(seed, feedback):
    torch.compiler.reset()
    graph = random_graph(seed, feedback=feedback).wire("predictive", stages=2)
    net = Network(graph).eval()
    c, h, w = graph.nodes[0].shape
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    for ticks in (3, 5):
        clip = torch.randn(2, c, ticks, h, w)
        expected, found = net(clip), compiled(clip)
        for name, y in expected.items():
            torch.testing.assert_close(found[name], y)
    assert sum(y.float().sum() for y in found.values()).requires_grad or not list(net.parameters())


def test_autocast_and_channels_last():
    nodes = [frame(size=8), conv("a", "frame", norm=True, act="relu"), conv("b", "a")]
    net = Network(graph_of(nodes, output="b")).to(memory_format=torch.channels_last_3d)
    clip = torch.randn(1, 2, 4, 8, 8).to(memory_format=torch.channels_last_3d)
    expected = net(clip)["main"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net(clip)["main"]
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1)
    found.float().square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_training_reduces_a_loss():
    torch.manual_seed(0)
    nodes = [
        frame(),
        conv("a", "frame", norm=True, act="relu"),
        ("pool", "global_pool", ["a"], {"window": 2}),
        ("head", "linear", ["pool"], {"out": 2}),
    ]
    graph = graph_of(nodes, output="head").wire(
        "predictive", stages=[["frame", "a"], ["pool", "head"]]
    )
    net = Network(graph).train()
    clip = torch.randn(4, 2, 6, 4, 4)
    target = torch.tensor([0, 1, 0, 1])[:, None].expand(-1, 6)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(net(clip)["main"], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
