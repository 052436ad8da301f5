"""Algorithms of convolutions: options, the choice, the contract, and how far results are apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from contract import Options, compile_wired, cuts_of, random_clip, random_network, run
from contract import verify_stream_contract as verify
from random_graphs import random_graph

import pvnet
from pvnet.errors import InvalidArgumentError

ISAS = tuple(b["isa"] for b in pvnet.info()["backends"] if b["name"] == "cpu" and b["available"])
# Of docs/speed.md, relative to the largest value of an output.
LAYER_BOUNDS = {"direct": 2e-6, "winograd 2x2": 1e-5, "winograd 4x4": 4e-5}
NETWORK_BOUND = 1e-5


def tiled(plan: pvnet.Plan) -> list[str]:
    """Algorithms of the layers that are not direct."""
    return [o["algorithm"] for o in plan.ops if o.get("algorithm", "direct") != "direct"]


def stack(size: int = 24) -> pvnet.Graph:
    """3x3 layers of all kinds: causal, dilated in time, over a concat, with uneven padding."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=size, width=size + 2)
    a = g.conv3d(x, 20, kernel=(1, 3, 3), act="relu", norm=True)
    b = g.conv3d(a, 9, kernel=(3, 3, 3), dilation=(2, 1, 1), act="silu")
    joined = g.concat([a, g.delay(b, 2), x])
    c = g.conv3d(joined, 37, kernel=(2, 3, 3), stride=(2, 1, 1), act="relu")
    y = g.conv3d(c, 5, kernel=(1, 3, 3), padding=((0, 2), (3, 1)))
    g.output(y, name="y")
    return g


def test_the_contract_holds_for_tiles_of_every_instruction_set() -> None:
    options = Options(backends=("cpu",), isas=ISAS, algorithm="winograd")
    verify(stack(), cuts_of(stack(), [1, 3]), options)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs_keep_the_contract_with_tiles(seed: int) -> None:
    graph = random_graph(300 + seed)
    options = Options(backends=("cpu",), seed=seed, ticks=9, algorithm="winograd")
    verify(graph, cuts_of(graph, [1, 3]), options)


def test_the_algorithm_of_a_layer_is_told_and_does_not_depend_on_the_cut() -> None:
    net = random_network(stack(), 0)
    told = {
        o["node"]: o.get("algorithm")
        for o in compile_wired(net, "sequential", 1, "cpu", algorithm="winograd").ops
    }
    assert all(algorithm.startswith("winograd") for algorithm in told.values())
    for wiring in ("pipelined", "predictive"):
        plan = compile_wired(net, wiring, 3, "cpu", algorithm="winograd", lanes=2)
        assert {o["node"]: o.get("algorithm") for o in plan.ops} == told
    assert not tiled(compile_wired(net, "sequential", 1, "ref"))


def layer(channels: int, size: int) -> pvnet.nn.Network:
    g = pvnet.Graph()
    x = g.input("frame", channels=channels, height=size, width=size)
    g.output(g.conv3d(x, channels, kernel=(1, 3, 3)), name="y")
    torch.manual_seed(0)
    return pvnet.nn.Network(g).eval()


def test_auto_takes_tiles_where_they_pay() -> None:
    assert tiled(pvnet.compile(layer(128, 56))) == ["winograd 4x4"]
    assert tiled(pvnet.compile(layer(16, 3))) == []
    assert tiled(pvnet.compile(layer(128, 56), algorithm="direct")) == []
    assert tiled(pvnet.compile(layer(16, 3), algorithm="winograd")) != []


def test_small_memory_forbids_larger_weights() -> None:
    net = layer(128, 28)
    small, fast = pvnet.compile(net, memory="small"), pvnet.compile(net)
    assert tiled(fast)
    assert not tiled(small)
    assert small.weights_bytes < fast.weights_bytes
    assert small.weights_bytes == pvnet.compile(net, algorithm="direct").weights_bytes


def test_wrong_options_are_refused() -> None:
    net = layer(4, 8)
    with pytest.raises(InvalidArgumentError, match='got "fast", expected "auto", "direct"'):
        pvnet.compile(net, algorithm="fast")
    with pytest.raises(InvalidArgumentError, match='got "tiny", expected "fast", "small"'):
        pvnet.compile(net, memory="tiny")
    with pytest.raises(InvalidArgumentError, match="needs large weights"):
        pvnet.compile(net, algorithm="winograd", memory="small")
    with pytest.raises(InvalidArgumentError, match='backend "ref" has no such algorithm'):
        pvnet.compile(net, backend="ref", algorithm="winograd")


def apart(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.abs(got - want).max() / np.abs(want).max())


@pytest.mark.parametrize("isa", ISAS)
def test_a_layer_is_as_near_as_the_documentation_says(isa: str) -> None:
    for channels, size in ((8, 14), (64, 28), (256, 12)):
        net = layer(channels, size)
        clip = random_clip(net.graph, 1, 1, channels)
        want = run(pvnet.compile(net, backend="ref"), clip)["y"]
        for algorithm in pvnet.runtime.ALGORITHMS:
            plan = pvnet.compile(net, isa=isa, algorithm=algorithm)
            assert apart(run(plan, clip)["y"], want) < LAYER_BOUNDS[plan.ops[0]["algorithm"]]


MODELS = {
    "par_inception": lambda: pvnet.models.par_inception(classes=7, width=0.25, size=112),
    "par_densenet": lambda: pvnet.models.par_densenet(width=0.25, size=112),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_network_is_as_near_as_the_documentation_says(model: str) -> None:
    torch.manual_seed(0)
    net = MODELS[model]().eval()
    clip = random_clip(net.graph, 1, 6, 1)
    want = run(pvnet.compile(net, algorithm="direct"), clip)
    for algorithm in ("auto", "winograd"):
        plan = pvnet.compile(net, algorithm=algorithm)
        assert tiled(plan)
        got = run(plan, clip)
        for name, y in want.items():
            assert apart(got[name], y) < NETWORK_BOUND


@pytest.mark.parametrize("model", MODELS)
def test_pipelined_is_sequential_bit_for_bit_with_tiles(model: str) -> None:
    torch.manual_seed(0)
    net = MODELS[model]().eval()
    stages, ticks = 3, 6
    clip = random_clip(net.graph, 1, ticks, 2)
    want = run(compile_wired(net, "sequential", 1, "cpu"), clip)
    plan = compile_wired(net, "pipelined", stages, "cpu", lanes=2)
    assert tiled(plan)
    for name, y in run(plan, clip).items():
        assert np.array_equal(y[stages - 1 :], want[name][: ticks - stages + 1])


def test_two_compilations_and_any_lanes_give_the_same_bits() -> None:
    net = layer(32, 28)
    clip = random_clip(net.graph, 1, 3, 0)
    costs = {"frame": 1.0, **{n.name: 1000.0 for n in net.graph.nodes}}
    outs = [
        run(pvnet.compile(net, lanes=lanes, costs=costs, pin=False), clip)["y"]
        for lanes in (1, 1, 2, 3)
    ]
    assert tiled(pvnet.compile(net))
    assert all(np.array_equal(outs[0], y) for y in outs)
