"""Network: dense clip mode = tick by tick = the definitions, in every wiring, with gradients."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle
from random_graphs import graphs, random_graph, random_stages

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.nn import Network
from pvnet.nn.node_layers import WEIGHTED

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)
WIRINGS = ("sequential", "pipelined", "predictive")


def make_net(graph, *, seed=0):
    """A float64 network in eval mode with non-trivial norms."""
    torch.manual_seed(seed)
    net = Network(graph).double().eval()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif ".norm." in name and value.is_floating_point():
                value.uniform_(-1, 1)
            elif name.endswith("bias"):
                value.normal_(0, 0.3)
    return net


def make_clip(graph, *, ticks=11, batch=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    c, h, w = graph.nodes[0].shape
    return torch.randn(batch, c, ticks, h, w, generator=g, dtype=torch.float64)


def check_against_oracle(graph, *, ticks=9):
    """Values and gradients of forward and of step against the definitions."""
    net = make_net(graph)
    clip = make_clip(graph, ticks=ticks).requires_grad_()
    parameters = dict(net.named_parameters())
    leaves = {k: p.detach().clone().requires_grad_() for k, p in parameters.items()}
    oracle = Oracle(graph, {**net.state_dict(), **leaves}, clip)
    expected = {o.name: oracle.output(o.name) for o in graph.outputs}
    directions = {k: torch.randn_like(y) for k, y in expected.items()}

    def gradients(outputs, wanted):
        loss = sum((y * directions[k]).sum() for k, y in outputs.items())
        loss = loss + sum(0 * x.sum() for x in wanted)
        return torch.autograd.grad(loss, wanted)

    reference = gradients(expected, [clip, *leaves.values()])
    for outputs in (net(clip), net.ticks(clip)):
        torch.testing.assert_close(outputs, expected)
        found = gradients(outputs, [clip, *parameters.values()])
        torch.testing.assert_close(found, reference)


@settings(max_examples=150, deadline=None)
@given(
    graph=graphs(),
    stages=st.integers(1, 4),
    wiring=st.sampled_from(WIRINGS),
    seed=st.integers(0, 9),
)
def test_dense_is_the_definition(graph, stages, wiring, seed):
    check_against_oracle(graph.wire(wiring, stages=random_stages(graph, stages, seed=seed)))


@settings(max_examples=60, deadline=None)
@given(
    graph=graphs(feedback=True, feedback_ticks=3),
    stages=st.integers(1, 3),
    wiring=st.sampled_from(WIRINGS),
    seed=st.integers(0, 9),
)
def test_feedback_is_the_definition(graph, stages, wiring, seed):
    check_against_oracle(graph.wire(wiring, stages=random_stages(graph, stages, seed=seed)))


@settings(max_examples=60, deadline=None)
@given(
    graph=st.one_of(graphs(), graphs(feedback=True, feedback_ticks=4)),
    stages=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_pipelined_is_sequential_shifted(graph, stages, seed):
    cut = random_stages(graph, stages, seed=seed)
    net = make_net(graph)
    clip = make_clip(graph, ticks=12)
    late = len(cut) - 1  # every output, whatever stage it comes from
    sequential = net(clip)
    pipelined = net.rewire("pipelined", stages=cut)(clip)
    for o in graph.outputs:
        a, b = pipelined[o.name], sequential[o.name]
        torch.testing.assert_close(a[:, :, late:], b[:, :, : b.shape[2] - late])
        assert not a[:, :, :late].any()


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), wiring=st.sampled_from(WIRINGS), seed=st.integers(0, 9))
def test_a_network_never_looks_ahead(graph, wiring, seed):
    net = make_net(graph.wire(wiring, stages=random_stages(graph, 3, seed=seed)))
    clip = make_clip(graph)
    changed = clip.clone()
    changed[:, :, 6:] += 1
    before, after = net(clip), net(changed)
    short = net(clip[:, :, :6])
    for name, y in before.items():
        torch.testing.assert_close(y[:, :, :6], after[name][:, :, :6])
        torch.testing.assert_close(y[:, :, :6], short[name])


def test_state_dict_is_the_same_in_every_wiring():
    graph = random_graph(5, nodes=9)
    nets = [Network(graph.wire(w, stages=3)) for w in WIRINGS]
    keys = [list(n.state_dict()) for n in nets]
    assert keys[0] == keys[1] == keys[2]
    expected = set()
    for n in graph.nodes:
        if n.op in WEIGHTED:
            expected.add(f"{n.name}.weight")
            has_bias = n.attrs.get("bias", n.op in ("group_norm", "layer_norm"))
            expected |= {f"{n.name}.bias"} if has_bias else set()
            if n.attrs.get("norm"):
                names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
                expected |= {f"{n.name}.norm.{k}" for k in names}
    assert set(keys[0]) == expected
    nets[2].load_state_dict(nets[0].state_dict())
    assert [k for k, _ in nets[0].named_parameters()] == [
        k for k in keys[0] if "running" not in k and "tracked" not in k
    ]


def test_rewire_keeps_the_parameters():
    graph = random_graph(11, nodes=8)
    net = make_net(graph.wire("sequential", stages=3))
    before = dict(net.named_parameters())
    clip = make_clip(graph)
    first = net(clip)
    assert net.rewire("predictive") is net
    assert net.graph.wiring == "predictive"
    assert [s.nodes for s in net.graph.stages] == [
        s.nodes for s in graph.wire("sequential", stages=3).stages
    ]
    assert all(p is before[k] for k, p in net.named_parameters())
    again = net.rewire("sequential")(clip)
    assert all(torch.equal(first[k], again[k]) for k in first)


def test_deepcopy_and_pickle():
    graph = random_graph(2, nodes=8)
    net = make_net(graph.wire("predictive", stages=3))
    clip = make_clip(graph)
    expected = net(clip)["main"]
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(copied(clip)["main"], expected)
        with torch.no_grad():
            for p in copied.parameters():
                p.zero_()
    assert torch.equal(net(clip)["main"], expected)


def test_weights_round_trip():
    graph = random_graph(4, nodes=10)
    net, other = make_net(graph), make_net(graph, seed=1)
    weights = net.export_weights()
    assert all(v.dtype == np.float32 and v.flags.c_contiguous for v in weights.values())
    assert not any("num_batches" in k for k in weights)
    other.load_weights(weights)
    clip = make_clip(graph)
    torch.testing.assert_close(other(clip)["main"], net(clip)["main"], rtol=1e-4, atol=1e-4)
    expected = [(k, tuple(v.shape)) for k, v in weights.items()]
    assert expected == list(graph.expected_weights())
    key = next(iter(weights))
    before = {k: v.clone() for k, v in other.state_dict().items()}
    for broken in (
        {k: v for k, v in weights.items() if k != key},
        {**weights, "x.weight": weights[key]},
        {**weights, key: weights[key][None]},
    ):
        with pytest.raises(InvalidArgumentError) as error:
            other.load_weights(broken)
        assert MESSAGE.match(str(error.value))
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())


def test_return_nodes_and_features():
    graph = random_graph(6, nodes=8).wire("predictive", stages=3)
    net = make_net(graph)
    clip = make_clip(graph)
    names = [n.name for n in graph.nodes]
    outputs, values = net(clip, return_nodes=names)
    assert all(torch.equal(v, net(clip)[k]) for k, v in outputs.items())
    weights = net.state_dict()
    oracle = Oracle(graph, weights, clip)
    for n in graph.nodes:
        expected = torch.stack([oracle.value(n.name, t) for t in range(clip.shape[2])], 2)
        torch.testing.assert_close(values[n.name], expected)
    assert list(net.features(clip, names[1:3])) == names[1:3]
    with pytest.raises(InvalidArgumentError) as error:
        net.features(clip, ["nobody"])
    assert MESSAGE.match(str(error.value))


def test_returned_values_and_outputs_can_be_differentiated_by():
    graph = Graph()
    x = graph.input("frame", channels=2, height=4, width=4)
    a = graph.conv3d(x, 3, kernel=(1, 3, 3), norm=True, act="relu", name="a")
    b = graph.concat([a, graph.avg_pool(a, kernel=(1, 3, 3), padding=(1, 1))], name="b")
    graph.output(b, name="early")
    graph.output(graph.conv3d(b, 2, kernel=(1, 1, 1), name="c"), name="late")
    net = Network(graph)
    outputs, values = net(torch.randn(2, 2, 3, 4, 4), return_nodes=["a"])
    for by in (values["a"], outputs["early"]):
        (gradient,) = torch.autograd.grad(outputs["late"].sum(), by, retain_graph=True)
        assert gradient.abs().max() > 0


def test_stage_outputs_leave_their_stage():
    graph = random_graph(6, nodes=8)
    net = make_net(graph.wire("predictive", stages=3))
    found = net.stage_outputs()
    assert found == net.rewire("sequential").stage_outputs()
    assert len(found) == len(net.graph.stages)
    for stage, names in zip(net.graph.stages, found, strict=True):
        assert set(names) <= set(stage.nodes)
    assert graph.outputs[0].node in {n for names in found for n in names}


def test_wrong_clips_are_refused():
    graph = random_graph(1)
    net = make_net(graph)
    clip = make_clip(graph)
    state = net.init_state(2)
    calls = [
        lambda: net(clip[:, :, 0]),
        lambda: net(clip[:, :, :0]),
        lambda: net(clip[..., :-1]),
        lambda: net({"nobody": clip}),
        lambda: net.step(clip[:1, :, 0], state),
        lambda: net.step(clip, state),
        lambda: net.init_state(0),
    ]
    for call in calls:
        with pytest.raises(InvalidArgumentError) as error:
            call()
        assert MESSAGE.match(str(error.value))


def test_step_leaves_the_state_and_carries_gradients():
    graph = random_graph(9, nodes=8, feedback=True).wire("predictive", stages=2)
    net = make_net(graph)
    clip = make_clip(graph, ticks=8)
    whole = net(clip)["main"]
    state = net.init_state(2)
    for t in range(4):
        kept = {k: [x.clone() for x in v] for k, v in state.rings.items()}
        _, new = net.step(clip[:, :, t], state)
        assert all(torch.equal(a, b) for k in kept for a, b in zip(kept[k], state.rings[k]))
        assert new.tick == t + 1
        state = new
    state = state.detach()
    assert not any(x.requires_grad for v in state.rings.values() for x in v)
    for t in range(4, 8):
        outputs, state = net.step(clip[:, :, t], state)
        torch.testing.assert_close(outputs["main"], whole[:, :, t])
    outputs["main"].sum().backward()
    assert all(len(v) <= 40 for v in state.rings.values())
