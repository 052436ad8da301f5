"""The finest cut: every operation with weights is a stage."""

from __future__ import annotations

import numpy as np
import pytest
from graph_specs import random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

import pvnet
from pvnet.errors import InvalidArgumentError

WITH_WEIGHTS = {"conv3d", "linear"}
COMPUTE_NOTHING = {"concat", "delay", "feedback"}


def dense() -> pvnet.Graph:
    """Three layers that read all before them, as a dense block does."""
    graph = pvnet.Graph()
    frame = graph.input("frame", channels=3, height=8, width=8)
    maps = [graph.conv3d(frame, 4, kernel=(1, 3, 3), name="stem")]
    for i in range(3):
        x = graph.concat(maps, name=f"all{i}")
        x = graph.act(x, "relu", name=f"relu{i}")
        maps.append(graph.conv3d(x, 2, kernel=(2, 3, 3), name=f"layer{i}"))
    pool = graph.global_pool(graph.concat(maps, name="end"), name="pool")
    graph.output(graph.linear(pool, 5, name="head"), name="y")
    return graph


def test_every_operation_with_weights_is_a_stage() -> None:
    wired = dense().wire("predictive", stages="layers")
    stage = {n.name: n.stage for n in wired.nodes}
    assert [stage[n] for n in ("stem", "layer0", "layer1", "layer2", "head")] == [0, 1, 2, 3, 4]
    # What follows without weights goes with what it follows: nothing is between layer2 and pool.
    assert stage["pool"] == 3
    assert stage["relu1"] == 1


def test_a_concat_costs_no_tick_of_its_own() -> None:
    wired = dense().wire("predictive", stages="layers")
    delay = {n.name: {e.node: e.delay for e in n.inputs} for n in wired.nodes}
    assert delay["all2"] == {"stem": 1, "layer0": 1, "layer1": 0}
    assert delay["relu2"] == {"all2": 0}
    assert delay["layer2"] == {"relu2": 1}


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["sequential", "pipelined", "predictive"]))
def test_the_finest_cut_is_legal_on_any_graph(seed: int, wiring: str) -> None:
    graph = random_graph(seed)
    try:
        wired = graph.wire(wiring, stages="layers")
    except pvnet.errors.GraphError:  # a loop that goes back further than its delay
        assert any(e.feedback for n in graph.nodes for e in n.inputs)
        return
    stage = {n.name: n.stage for n in wired.nodes}
    layers = [n.stage for n in wired.nodes if n.op in WITH_WEIGHTS]
    assert sorted(layers) == list(range(len(layers)))
    assert len(wired.stages) == max(len(layers), 1)
    for n in wired.nodes:
        sources = [stage[e.node] for e in n.inputs if not e.feedback]
        assert all(s <= n.stage for s in sources)
        if n.op not in WITH_WEIGHTS | COMPUTE_NOTHING and sources:
            assert n.stage == max(sources)


@pytest.mark.parametrize("wiring", ["sequential", "pipelined", "predictive"])
def test_the_finest_cut_runs_as_the_reference(wiring: str) -> None:
    graph = dense().wire(wiring, stages="layers")
    rng = np.random.default_rng(0)
    weights = {
        n: rng.standard_normal(s).astype(np.float32) / 3 for n, s in graph.expected_weights()
    }
    ref, cpu = (
        pvnet.compile((graph, weights), backend=b, lanes=n).stream()
        for b, n in (("ref", 1), ("cpu", 2))
    )
    for frame in rng.standard_normal((12, 3, 8, 8)).astype(np.float32):
        want, got = ref.tick(frame)["y"], cpu.tick(frame)["y"]
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4)
    assert np.abs(want).max() > 1e-3


def test_other_words_and_costs_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no such cut"):
        dense().wire("predictive", stages="layer")
    with pytest.raises(InvalidArgumentError, match="costs have no use"):
        dense().wire("predictive", stages="layers", costs={"stem": 1.0})
