"""dtype="bf16" on the host: the contract within the dtype, how far f32 is, memory, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from contract import Options, compile_wired, cuts_of, random_clip, random_network, run
from contract import verify_stream_contract as verify
from layer_graphs import LAYERS, feedback_graph, layer_graph
from random_graphs import random_graph

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.models import par_densenet_graph, par_inception_graph

ISAS = tuple(b["isa"] for b in pvnet.info()["backends"] if b["name"] == "cpu" and b["available"])
# Of the largest output, or of 1: three times and more of what was found.
FROM_F32 = 5e-2  # maps and weights are rounded, layer after layer
FROM_REF = 3e-2  # sums in another order: now and then an element is the next one
SMALL = {"width": 0.125, "size": 32}
MODELS = {
    "par_inception": lambda: par_inception_graph(classes=5, **SMALL),
    "par_inception i3d": lambda: par_inception_graph(classes=5, clocks="i3d", **SMALL),
    "par_densenet": lambda: par_densenet_graph(**SMALL),
}


def options(**more: object) -> Options:
    return Options(**{"dtype": "bf16", "rtol": FROM_REF, "lanes": (1, 2), **more})


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_keep_the_contract(seed: int) -> None:
    graph = random_graph(500 + seed)
    verify(graph, cuts_of(graph, [1, 3]), options(seed=seed, ticks=9))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_keeps_the_contract(layer: str) -> None:
    verify(layer_graph(layer), [2], options(backends=("cpu",), ticks=6))


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_keeps_the_contract(isa: str) -> None:
    verify(feedback_graph(), [1, 2], options(backends=("cpu",), isas=(isa,)))
    graph = random_graph(3)
    verify(graph, cuts_of(graph, [1, 2]), options(backends=("cpu",), isas=(isa,)))


@pytest.mark.parametrize("isa", ISAS)
def test_tiles_keep_the_contract(isa: str) -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=24, width=26)
    a = g.conv3d(x, 20, kernel=(1, 3, 3), act="relu", norm=True)
    b = g.conv3d(a, 9, kernel=(3, 3, 3), dilation=(2, 1, 1), act="silu")
    y = g.conv3d(g.concat([a, g.delay(b, 2), x]), 37, kernel=(2, 3, 3))
    g.output(y, name="y")
    tiles = options(backends=("cpu",), isas=(isa,), algorithm="winograd")
    verify(g, cuts_of(g, [1, 3]), tiles)
    plan = compile_wired(random_network(g, 0), "sequential", 1, "cpu", **tiles_of(isa))
    assert {o["algorithm"] for o in plan.ops} <= {"winograd 2x2", "winograd 4x4"}


def tiles_of(isa: str) -> dict[str, str]:
    return {"isa": isa, "algorithm": "winograd", "dtype": "bf16"}


@pytest.mark.parametrize("model", MODELS)
def test_models_are_near_those_of_f32(model: str) -> None:
    graph = MODELS[model]()
    net = random_network(graph, 2)
    net.rewire("predictive", stages=5)
    clip = random_clip(graph, 1, 8, 3)
    expected = run(pvnet.compile(net, backend="ref"), clip)
    for backend, isa in (("ref", None), *(("cpu", isa) for isa in ISAS)):
        plan = pvnet.compile(net, backend=backend, isa=isa, dtype="bf16")
        assert (plan.dtype, plan.backend) == ("bf16", backend)
        found = run(plan, clip)
        for name, y in expected.items():
            assert np.abs(found[name] - y).max() <= FROM_F32 * np.abs(y).max()
            assert not np.array_equal(found[name], y)
            stored = np.ascontiguousarray(found[name]).view(np.uint32)
            assert (stored & 0xFFFF == 0).all()  # outputs are what the node has stored


@pytest.mark.parametrize("model", ["par_inception", "par_densenet"])
def test_maps_rings_and_weights_take_half_the_memory(model: str) -> None:
    build = {"par_inception": par_inception_graph, "par_densenet": par_densenet_graph}[model]
    net = random_network(build(size=64, width=0.5), 0)
    net.rewire("predictive", stages=5)
    whole, half = (
        pvnet.compile(net, dtype=dtype, memory="small", lanes=1) for dtype in ("f32", "bf16")
    )
    for name in ("state_bytes", "scratch_bytes", "weights_bytes"):
        assert getattr(half.core, name) <= 0.55 * getattr(whole.core, name), name


def test_a_weight_beyond_bf16_is_refused() -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=1, height=2, width=2)
    g.output(g.conv3d(x, 1, kernel=(1, 1, 1), bias=False, name="c"), name="y")
    weights = {"c.weight": np.full((1, 1, 1, 1, 1), 3.4e38, np.float32)}
    pvnet.compile((g, weights))
    with pytest.raises(InvalidArgumentError, match="does not fit bf16"):
        pvnet.compile((g, weights), dtype="bf16")


def test_a_snapshot_of_another_dtype_is_refused() -> None:
    net = random_network(random_graph(3), 0)
    plans = [compile_wired(net, "predictive", 2, "cpu", dtype=d) for d in ("f32", "bf16")]
    clip = random_clip(net.graph, 1, 3, 1)
    streams = [plan.stream() for plan in plans]
    for plan, stream in zip(plans, streams, strict=True):
        run(plan, clip, stream)
    with pytest.raises(pvnet.PvnetError, match="another plan"):
        streams[0].restore(streams[1].snapshot())
