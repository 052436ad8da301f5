"""Clocks, latency, warm-up, receptive field and age against the brute force of simulation.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
from graph_specs import random_graph, random_stages
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import Simulation

import pvnet
from pvnet import _core
from pvnet.errors import GraphError

SEEDS = st.integers(0, 10**6)


def wired(seed: int) -> pvnet.Graph:
    graph = random_graph(seed)
    wiring = ("sequential", "pipelined", "predictive")[seed % 3]
    try:
        return graph.wire(wiring, stages=random_stages(seed, graph))
    except GraphError as error:
        assert "no delay left in the pipelined wiring" in str(error)  # noqa: PT017
        return graph.wire("predictive", stages=random_stages(seed, graph))


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_clocks_and_facts_are_those_of_the_definitions(seed: int) -> None:
    graph = wired(seed)
    brute = Simulation(graph)
    for n in graph.nodes:
        assert brute.clocks[n.name] == (n.clock.period, n.clock.origin), n.name
    assert graph.hyper_period == brute.hyper
    horizon = 60 + 3 * brute.hyper
    for out in graph.outputs:
        assert out.delay == brute.output_delay(out.node)
        assert out.information_latency_ticks == brute.latency(out.node) + out.delay
        assert out.warm_up_ticks == brute.warm_up(out.node, horizon)
        if brute.behind_feedback(out.node):
            assert out.receptive_field_frames is None
        else:
            begin = 150 // brute.hyper * brute.hyper
            assert out.receptive_field_frames == brute.receptive_field(out.node, begin)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_age_table_is_that_of_the_definitions(seed: int) -> None:
    graph = wired(seed)
    weights = {
        name: np.zeros(shape, np.float32) for name, shape in _core.expected_weights(graph.core)
    }
    plan = pvnet.compile((graph, weights), backend="ref", lanes=1)
    settle = plan.core.settle_ticks
    brute = Simulation(graph)
    for facts, out in zip(plan.core.outputs(), graph.outputs, strict=True):
        table = facts["age_ticks"]
        assert len(table) == settle + graph.hyper_period
        for tick in range(settle + 3 * graph.hyper_period):
            row = tick if tick < settle else settle + (tick - settle) % graph.hyper_period
            assert list(table[row]) == brute.ages(out.node, tick, graph.n_stages), (tick, out.name)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_pipelined_is_sequential_shifted_by_the_stage(seed: int) -> None:
    graph = random_graph(seed, feedback=False)
    stages = random_stages(seed, graph)
    plain = {n.name: n for n in graph.wire("sequential", stages=stages).nodes}
    for n in graph.wire("pipelined", stages=stages).nodes:
        assert n.clock.period == plain[n.name].clock.period
        assert n.clock.origin == plain[n.name].clock.origin + n.stage
        for e, f in zip(n.inputs, plain[n.name].inputs, strict=True):
            assert e.delay - f.delay == n.stage - plain[e.node].stage


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_documents_round_trip(seed: int) -> None:
    graph = wired(seed)
    again = pvnet.Graph.from_json(graph.to_json())
    assert again == graph
    assert json.loads(again.resolved_json()) == json.loads(graph.resolved_json())


@pytest.mark.parametrize(
    ("wiring", "latency", "warm_up", "field"),
    [("sequential", 0, 0, 8), ("pipelined", 2, 2, 8), ("predictive", 1, 2, 9)],
)
def test_a_skip_over_three_stages(wiring: str, latency: int, warm_up: int, field: int) -> None:
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4)
    a = graph.conv3d(x, 1, kernel=(3, 1, 1), name="a")
    b = graph.conv3d(a, 1, kernel=(5, 1, 1), name="b")
    c = graph.conv3d(graph.concat([b, a], name="cat"), 1, kernel=(2, 1, 1), name="c")
    graph.output(c)
    graph = graph.wire(wiring, stages=[["a"], ["b"], ["cat", "c"]])
    (out,) = graph.outputs
    assert out.information_latency_ticks == latency
    assert out.warm_up_ticks == warm_up
    # 2 + 4 + 1 frames back along b; a fresh skip is one tick younger and widens the field by that
    assert out.receptive_field_frames == field
