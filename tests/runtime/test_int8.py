"""dtype="int8" on the host: the contract within the dtype, how far f32 is, memory, refusals."""

from __future__ import annotations

import random

import numpy as np
import pytest
from contract import Options, compile_wired, cuts_of, random_clip, random_network, run
from contract import verify_stream_contract as verify
from layer_graphs import LAYERS, layer_graph
from random_graphs import random_graph

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.models import par_densenet_graph, par_inception_graph

ISAS = tuple(b["isa"] for b in pvnet.info()["backends"] if b["name"] == "cpu" and b["available"])
BACKENDS = ("ref", "cpu")
# Of the largest output, or of 1: an element is now and then the next step of its map.
FROM_REF = 5e-2
FROM_F32 = 1e-1
SMALL = {"width": 0.125, "size": 32}


def some_ranges(graph: pvnet.Graph, seed: int, share: float = 0.8) -> dict:
    """Ranges of that share of the nodes: both kinds of maps, and values beyond them."""
    rng = random.Random(seed)
    found = {}
    for node in graph.nodes:
        low = rng.choice((0.0, -rng.uniform(0.5, 3.0)))
        if rng.random() < share:
            found[node.name] = (low, rng.uniform(0.5, 4.0))
    return found


def measured_ranges(net: pvnet.nn.Network, clip: dict[str, np.ndarray]) -> dict:
    """Lowest and highest value of every node of the sequential network."""
    graph = pvnet.Graph.from_json(net.graph.to_json())
    for node in graph.nodes:
        if node.name not in {o.node for o in graph.outputs}:
            graph.output(node.name, name=node.name)
    tensors = net.state_dict().items()
    weights = {k: v.numpy() for k, v in tensors if v.is_floating_point()}
    outs = run(pvnet.compile((graph, weights), backend="cpu"), clip)
    names = {o.name: o.node for o in graph.outputs}
    return {names[n]: (float(y.min()), float(y.max())) for n, y in outs.items()}


def options(graph: pvnet.Graph, seed: int = 0, share: float = 0.8, **more: object) -> Options:
    told = {"dtype": "int8", "rtol": FROM_REF, "lanes": (1, 2), "backends": BACKENDS, "seed": seed}
    return Options(**{**told, "ranges": some_ranges(graph, seed, share), **more})


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_keep_the_contract(seed: int) -> None:
    graph = random_graph(700 + seed)
    verify(graph, cuts_of(graph, [1, 3]), options(graph, seed, ticks=9))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_keeps_the_contract(layer: str) -> None:
    graph = layer_graph(layer)
    verify(graph, [2], options(graph, 1, 0.95, ticks=6, backends=BACKENDS[-1:]))


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_keeps_the_contract(isa: str) -> None:
    graph = random_graph(3)
    told = options(graph, 3, backends=("cpu",), isas=(isa,), ticks=6)
    verify(graph, cuts_of(graph, [2]), told)


def test_every_instruction_set_gives_the_bits_of_the_reference() -> None:
    net = random_network(par_densenet_graph(**SMALL), 2)  # relu, pools, nearest upsampling
    clip = random_clip(net.graph, 1, 2, 3)
    told = {"dtype": "int8", "ranges": some_ranges(net.graph, 4, 1.0)}
    expected = run(pvnet.compile(net, backend="ref", **told), clip)
    for isa in ISAS:
        found = run(pvnet.compile(net, backend="cpu", isa=isa, **told), clip)
        for name, y in expected.items():
            assert np.array_equal(found[name], y), isa


def test_a_node_without_a_range_stays_in_f32() -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=8, width=8)
    a = g.conv3d(x, 4, kernel=3, name="a", act="relu")
    b = g.conv3d(a, 4, kernel=3, name="b")
    g.output(g.conv3d(b, 4, kernel=3, name="c"), name="y")
    net = random_network(g, 0)
    ranges = {"frame": (-3, 3), "a": (0, 2), "c": (-2, 2)}
    for backend in BACKENDS:
        plan = pvnet.compile(net, backend=backend, dtype="int8", ranges=ranges)
        told = {op["node"]: (op["algorithm"], op["dtype"]) for op in plan.ops}
        assert told["a"] == ("int8", "uint8")
        assert told["b"] == ("int8", "f32")  # it has no range
        assert told["c"][0] != "int8"  # it reads no 8 bits
        assert told["c"][1] == "f32"  # only an output reads it


@pytest.mark.parametrize("model", ["par_inception", "par_densenet"])
def test_models_are_near_those_of_f32(model: str) -> None:
    build = {"par_inception": par_inception_graph, "par_densenet": par_densenet_graph}[model]
    net = random_network(build(**SMALL), 2)
    clip = random_clip(net.graph, 1, 8, 3)
    ranges = measured_ranges(net, clip)
    expected = run(pvnet.compile(net, backend="cpu"), clip)
    for backend in BACKENDS:
        plan = pvnet.compile(net, backend=backend, dtype="int8", ranges=ranges)
        assert all(op["algorithm"] == "int8" for op in plan.ops if op["op"] == "conv3d")
        found = run(plan, clip)
        for name, y in expected.items():
            assert np.abs(found[name] - y).max() <= FROM_F32 * np.abs(y).max()
            assert not np.array_equal(found[name], y)


def test_a_snapshot_of_other_ranges_is_refused() -> None:
    graph = random_graph(3)
    net = random_network(graph, 0)
    plans = [
        compile_wired(net, "predictive", 2, "ref", dtype="int8", ranges=some_ranges(graph, seed))
        for seed in (1, 2)
    ]
    clip = random_clip(graph, 1, 3, 1)
    streams = [plan.stream() for plan in plans]
    for plan, stream in zip(plans, streams, strict=True):
        run(plan, clip, stream)
    with pytest.raises(pvnet.PvnetError, match="another plan"):
        streams[0].restore(streams[1].snapshot())


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"dtype": "int8"}, "needs to know the ranges"),
        ({"dtype": "int8", "ranges": {"nobody": (0, 1)}}, "not in the graph"),
        ({"dtype": "int8", "ranges": {"c": (1, 0)}}, "range of node"),
        ({"dtype": "int8", "ranges": {"c": (0, float("nan"))}}, "range of node"),
        ({"dtype": "int8", "ranges": {"c": (0, float("inf"))}}, "range of node"),
        ({"dtype": "int8", "ranges": {"c": 3}}, "no ranges"),
        ({"dtype": "f32", "ranges": {"c": (0, 1)}}, "another dtype"),
    ],
)
def test_wrong_ranges_are_refused(told: dict, match: str) -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=1, height=2, width=2)
    g.output(g.conv3d(x, 1, kernel=1, bias=False, name="c"), name="y")
    weights = {"c.weight": np.ones((1, 1, 1, 1, 1), np.float32)}
    with pytest.raises(InvalidArgumentError, match=match):
        pvnet.compile((g, weights), backend="ref", **told)
