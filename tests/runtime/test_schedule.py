"""Which lanes make which tiles of a tick, and how often they meet."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.models.random_weights import random_weights
from pvnet.runtime.node_times import trace_ticks

STAGES, LEVELS, SIDE = 4, 5, 32


def chain(wiring: str) -> pvnet.Graph:
    """Convolutions of equal work, one behind the other; the last stage has two levels less."""
    g = pvnet.Graph()
    x = g.input("x", channels=16, height=SIDE, width=SIDE)
    for i in range(STAGES * LEVELS - 2):
        x = g.conv3d(x, 16, kernel=(1, 3, 3), act="relu", name=f"c{i}")
    g.output(x, name="y")
    names = [f"c{i}" for i in range(STAGES * LEVELS - 2)]
    cut = [names[s * LEVELS : (s + 1) * LEVELS] for s in range(STAGES)]
    cut[0].insert(0, "x")
    return g.wire(wiring, cut)


def compiled(wiring: str, lanes: int) -> pvnet.Plan:
    """Every level takes long enough to be shared by all lanes."""
    graph = chain(wiring)
    costs = {node.name: 1600.0 for node in graph.nodes}
    model = (graph, random_weights(graph, seed=0))
    return pvnet.compile(model, lanes=lanes, costs=costs, algorithm="direct")


def busiest_of(plan: pvnet.Plan) -> tuple[list[float], float]:
    """Work of the busiest lane between every two meetings, and of a lane if all had the same."""
    costs = [op["cost"] / op["tiles"] for op in plan.ops]
    tick = json.loads(plan.to_json())["schedule"][0]
    loads = [
        [sum(costs[op] * (end - begin) for op, begin, end in lane) for lane in superstep]
        for superstep in tick
    ]
    return [max(lanes) for lanes in loads], sum(map(sum, loads)) / len(loads[0])


@pytest.mark.parametrize("lanes", [3, 6, 8])
def test_stages_share_their_levels_in_waves(lanes):
    """The lanes meet once a level of the longest stage, not once a level of every stage."""
    busiest, fair = busiest_of(compiled("predictive", lanes))
    assert len(busiest) <= LEVELS + 1
    assert sum(busiest) < 1.2 * fair
    alone, _ = busiest_of(compiled("sequential", lanes))
    assert len(alone) == STAGES * LEVELS - 2


def test_as_many_lanes_as_stages_need_not_meet():
    """Whole stages on lanes of their own take the time of the longest, with one meeting."""
    graph = chain("predictive")
    costs = {node.name: 1.0 for node in graph.nodes}
    plan = pvnet.compile((graph, random_weights(graph, seed=0)), lanes=STAGES, costs=costs)
    busiest, _ = busiest_of(plan)
    assert len(busiest) == 1
    assert busiest[0] == LEVELS


def ranges_of(graph: pvnet.Graph, costs: dict[str, float]) -> dict[str, list[list[int]]]:
    """Of every op what each of two lanes makes of its tiles."""
    costs = {node.name: costs.get(node.name, 1600.0) for node in graph.nodes}
    plan = pvnet.compile((graph, random_weights(graph, seed=0)), lanes=2, costs=costs)
    found: dict[str, list[list[int]]] = {op["node"]: [[], []] for op in plan.ops}
    for superstep in json.loads(plan.to_json())["schedule"][0]:
        for lane, ranges in enumerate(superstep):
            for op, begin, end in ranges:
                found[plan.ops[op]["node"]][lane] += [begin, end]
    return found


def branches(tiles: int) -> pvnet.Graph:
    """Two layers beside each other, of so many rows."""
    g = pvnet.Graph()
    x = g.input("x", channels=16, height=tiles, width=16)
    g.output(g.max_pool(x, (1, 3, 3), padding=1, name="a"), name="y")
    g.output(g.avg_pool(x, (1, 3, 3), padding=1, name="b"), name="z")
    return g


def test_lanes_share_every_operation_of_a_frame():
    """So errors of their costs cancel, and what a lane reads next it has computed."""
    for costs in ({}, {"a": 4800.0}):
        found = ranges_of(branches(16), costs)
        assert found == {name: [[0, 8], [8, 16]] for name in "ab"}


def test_lanes_take_operations_of_few_tiles_whole():
    assert ranges_of(branches(4), {}) == {"a": [[0, 4], []], "b": [[], [0, 4]]}


def test_waves_give_the_bits_of_one_lane():
    """Whoever makes a tile."""
    frames = np.random.default_rng(0).integers(0, 256, (9, SIDE, SIDE, 16), np.uint8)
    one, eight = (compiled("predictive", n).stream() for n in (1, 8))
    for frame in frames:
        np.testing.assert_array_equal(one.tick(frame)["y"], eight.tick(frame)["y"])


def test_costs_can_be_measured_when_compiling(monkeypatch):
    """They come from ticks on one lane, and level the lanes; results do not depend on them."""
    graph = chain("predictive")
    model = pvnet.runtime.Model(graph, random_weights(graph, seed=0))
    found = {}

    def measured(plan):
        assert plan.lanes == 1
        found.update({op["node"]: 1e5 if op["node"] == "c0" else 10.0 for op in plan.ops})
        return found

    monkeypatch.setitem(pvnet.compile.__globals__, "node_times", measured)
    plan = pvnet.compile(model, lanes=2, costs="measure", algorithm="direct")
    assert found
    tick = json.loads(plan.to_json())["schedule"][0]
    number = next(i for i, op in enumerate(plan.ops) if op["node"] == "c0")
    shares = [sum(e - b for op, b, e in lane if op == number) for s in tick for lane in s]
    assert sorted(filter(None, shares)) == [plan.ops[number]["tiles"] // 2] * 2
    frame = np.ones((16, SIDE, SIDE), np.float32)
    alone = pvnet.compile(model, lanes=1, costs="measure", algorithm="direct")
    one = alone.stream().tick(frame)
    np.testing.assert_array_equal(one["y"], plan.stream().tick(frame)["y"])


def test_costs_are_measured_in_all_rows_of_a_large_batch():
    """A trace holds what every row does in every tick."""
    graph = chain("sequential")
    weights = random_weights(graph, seed=0)
    plan = pvnet.compile((graph, weights), lanes=1, batch=32)
    times = trace_ticks(plan.stream(), 4)
    assert {op["node"]: len(times.get(op["node"], [])) for op in plan.ops} == {
        op["node"]: 4 for op in plan.ops
    }


def test_costs_are_measured_on_the_cpu_only():
    graph = chain("predictive")
    model = pvnet.runtime.Model(graph, random_weights(graph, seed=0))
    with pytest.raises(InvalidArgumentError, match=r"got costs='measure' and backend='ref'"):
        pvnet.compile(model, backend="ref", costs="measure")
    with pytest.raises(InvalidArgumentError, match=r"got 'guess', expected 'measure'"):
        pvnet.compile(model, costs="guess")


def weighty(costs: dict[str, float]) -> list[list[list[str]]]:
    """Two lanes and a stage for every node; those of "w" have 4 MiB of weights. Nodes by lane."""
    g = pvnet.Graph()
    x = g.input("x", channels=1024, height=2, width=2)
    for name in costs:
        if name[0] == "w":
            x = g.conv3d(x, 1024, kernel=(1, 1, 1), name=name)
        else:
            x = g.max_pool(x, (1, 1, 1), name=name)
    g.output(x, name="y")
    cut = [[name] for name in costs]
    cut[0].insert(0, "x")
    graph = g.wire("predictive", cut)
    model = (graph, random_weights(graph, seed=0))
    plan = pvnet.compile(model, lanes=2, costs={"x": 0.0, **costs})
    tick = json.loads(plan.to_json())["schedule"][0]
    return [[[plan.ops[op]["node"] for op, _, _ in lane] for lane in step] for step in tick]


def test_lanes_wait_for_memory_by_turns():
    """One begins with the stages that read most weights, the other ends with them."""
    names = ["w0", "w1", "a", "b", "w2", "w3", "c", "d", "w4", "w5", "e", "f"]
    [(first, second)] = weighty(dict.fromkeys(names, 400.0))
    assert [name[0] == "w" for name in first] == [True] * 3 + [False] * 3
    assert [name[0] == "w" for name in second] == [False] * 3 + [True] * 3


def test_stages_of_nearly_equal_work_are_not_shared():
    """Lanes that share a level lose more than one that waits for the other."""
    equal = dict.fromkeys(["w0", "w1", "w2", "w3"], 1000.0)
    assert len(weighty({**equal, "w3": 1020.0})) == 1
    assert len(weighty({**equal, "w3": 1600.0})) > 1


@pytest.mark.parametrize(("cost", "lanes"), [(1000.0, 2), (100.0, 1)])
def test_lanes_do_not_share_what_waits_for_memory(cost, lanes):
    """One lane that reads weights in no more time than both would need has the level whole."""
    graph = pvnet.Graph()
    x = graph.input("x", channels=1024, height=2, width=2)
    names = [f"w{i}" for i in range(6)]
    for name in names:
        x = graph.conv3d(x, 1024, kernel=(1, 1, 1), name=name)
    graph.output(x, name="y")
    model = (graph, random_weights(graph, seed=0))
    plan = pvnet.compile(model, lanes=2, costs={"x": 0.0, **dict.fromkeys(names, cost)})
    for step in json.loads(plan.to_json())["schedule"][0]:
        assert sum(bool(lane) for lane in step) == lanes
