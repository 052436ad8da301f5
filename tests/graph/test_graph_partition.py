"""Balanced cuts: optimal, legal, with measured costs, and free nodes where they belong."""

from __future__ import annotations

import itertools
import random

import pytest
from graph_specs import random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.graph.timeline import FREE_OPS


def chain(strides: list[int]) -> pvnet.Graph:
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4)
    for i, stride in enumerate(strides):
        x = graph.conv3d(x, 1, kernel=1, stride=(stride, 1, 1), name=f"n{i}")
    graph.output(x)
    return graph


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_no_cut_is_better(seed: int) -> None:
    rng = random.Random(seed)
    graph = chain([rng.choice((1, 1, 2)) for _ in range(rng.randint(1, 7))])
    names = [n.name for n in graph.nodes[1:]]
    k = rng.randint(1, len(names))
    costs = {name: float(rng.randint(0, 30)) for name in names}
    wired = graph.wire("predictive", stages=k, costs=costs)
    per_tick = [costs[n.name] / n.clock.period for n in graph.nodes[1:]]
    best = min(
        max(sum(per_tick[a:b]) for a, b in itertools.pairwise([0, *cuts, len(names)]))
        for cuts in itertools.combinations(range(1, len(names)), k - 1)
    )
    assert max(s.cost for s in wired.stages) == pytest.approx(best, rel=1e-12)
    assert len(wired.stages) == k
    assert all(any(n != "frame" for n in s.nodes) for s in wired.stages)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_cuts_are_legal_on_any_graph(seed: int) -> None:
    graph = random_graph(seed)
    most = sum(n.op not in FREE_OPS for n in graph.nodes)
    k = random.Random(seed).randint(1, most)
    wired = graph.wire("predictive", stages=k)
    stage = {n.name: n.stage for n in wired.nodes}
    for n in wired.nodes:
        assert n.op != "input" or n.stage == 0
        for e in n.inputs:
            assert e.feedback or stage[e.node] <= n.stage
    working = {n.stage for n in wired.nodes if n.op not in FREE_OPS}
    assert working == set(range(k))
    with pytest.raises(InvalidArgumentError, match=f"1 to {most} "):
        graph.wire("predictive", stages=most + 1)


def test_concat_and_feedback_go_with_their_consumer() -> None:
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4)
    a = graph.conv3d(x, 1, kernel=1, name="a")
    fb = graph.feedback("c", like=a, name="fb")
    b = graph.conv3d(a, 1, kernel=1, name="b")
    cat = graph.concat([a, b, fb], name="cat")
    graph.conv3d(cat, 1, kernel=1, name="c")
    graph.output("c")
    graph.output(graph.concat([a, "c"], name="end"))
    wired = graph.wire("predictive", stages=3, costs={"a": 1, "b": 1, "c": 1})
    assert wired.stage_lists == [["frame", "a"], ["b"], ["fb", "cat", "c", "end"]]
    cat_inputs = wired.node("cat").inputs
    assert [e.delay for e in cat_inputs] == [1, 1, 0]  # the jump over a stage is fresh


@pytest.mark.parametrize(
    ("costs", "word"),
    [({"n0": 1.0}, "n1"), ({"n0": -1.0, "n1": 1.0}, "n0"), ({"x": 1.0}, "x"),
     ({"n0": float("nan"), "n1": 1.0}, "n0")],
)  # fmt: skip
def test_bad_costs_are_refused_by_the_name_of_the_node(costs: dict[str, float], word: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"'{word}'"):
        chain([1, 1]).wire("predictive", stages=2, costs=costs)


def test_prefixes_stand_for_names() -> None:
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4)
    for name in ("one/a", "one/b", "two/a"):
        x = graph.conv3d(x, 1, kernel=1, name=name)
    graph.output(x, name="out")
    wired = graph.wire("predictive", stages=[["one/*"], ["two/*"]])
    assert [s.nodes for s in wired.stages] == [("frame", "one/a", "one/b"), ("two/a",)]
