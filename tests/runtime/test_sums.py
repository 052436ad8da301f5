"""Convolutions that end in the sum of an add: when one operation does both, and its bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from contract import Options, cuts_of, random_clip, random_network, run
from contract import verify_stream_contract as verify

import pvnet
from pvnet.runtime import measure_costs

ISAS = tuple(b["isa"] for b in pvnet.info()["backends"] if b["name"] == "cpu" and b["available"])
WAYS = [("cpu", isa) for isa in ISAS] + [("ref", None)]


def sums(plan: pvnet.Plan) -> dict[str, str]:
    """Of every convolution that does an add the add."""
    return {op["node"]: op["sum"] for op in plan.ops if "sum" in op}


def blocks(probed: tuple[str, ...] = ()) -> pvnet.Graph:
    """Sums after all kinds of convolutions; those of `probed` are outputs, too."""
    g = pvnet.Graph()
    x = g.input("frame", channels=24, height=15, width=14)
    tall = g.conv3d(x, 24, kernel=(1, 3, 3), name="tall")
    a = g.add([tall, x], act="relu", name="a")
    temporal = g.conv3d(a, 24, kernel=(3, 3, 3), dilation=(2, 1, 1), name="temporal")
    b = g.add([temporal, g.delay(x, 2)], act="relu6", name="b")
    deep = g.conv3d(b, 24, kernel=(1, 3, 3), groups=24, name="deep")
    c = g.add([deep, a], name="c")
    wide = g.conv3d(g.concat([c, x]), 33, kernel=1, norm=True, name="wide")
    other = g.conv3d(x, 33, kernel=1, name="other")
    d = g.add([other, wide], act="silu", name="d")
    small = g.conv3d(d, 16, kernel=(1, 3, 3), stride=(1, 2, 2), name="small")
    e = g.add([small, g.conv3d(x, 16, kernel=1, stride=(1, 2, 2), act="relu")], name="e")
    line = g.linear(e, 5, name="line")
    f = g.add([g.act(g.linear(x, 5), "tanh"), line], act=("leaky_relu", 0.1), name="f")
    g.output(f, name="y")
    g.output(d, name="z")
    for node in (tall, temporal, deep, wide, other, small, line):
        if node.name in probed:
            g.output(node, name=f"probe_{node.name}")
    return g


FUSED = {"tall": "a", "temporal": "b", "deep": "c", "wide": "d", "small": "e", "line": "f"}


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_one_operation_has_the_bits_of_two(dtype: str, algorithm: str) -> None:
    """An output of the convolution keeps it apart from the add."""
    net, apart = random_network(blocks(), 0), random_network(blocks((*FUSED, "other")), 0)
    clip = random_clip(net.graph, 1, 9, 0)
    for backend, isa in WAYS:
        if (backend, algorithm) == ("ref", "winograd"):
            continue
        ways = {"backend": backend, "isa": isa, "dtype": dtype, "algorithm": algorithm}
        one, two = pvnet.compile(net, **ways), pvnet.compile(apart, **ways)
        assert sums(one) == FUSED
        assert sums(two) == {}
        assert len(two.ops) == len(one.ops) + len(FUSED)
        got, want = run(one, clip), run(two, clip)
        for name in got:
            np.testing.assert_array_equal(got[name], want[name], err_msg=f"{ways} {name}")


def some_ranges(graph: pvnet.Graph, left_out: tuple[str, ...] = ()) -> dict:
    """Of maps with a sign and of others; values lie beyond them, too."""
    names = [n.name for n in graph.nodes if n.name not in left_out]
    return {name: ((0.0, -1.5)[i % 2], 1.0 + i % 3) for i, name in enumerate(names)}


@pytest.mark.parametrize("left_out", [(), ("tall", "a", "wide", "f")])
def test_one_operation_over_8_bits_has_the_bits_of_two(left_out: tuple[str, ...]) -> None:
    """Depthwise layers do not add, nor those over floats: which read "a", if it has no range."""
    net, apart = random_network(blocks(), 0), random_network(blocks((*FUSED, "other")), 0)
    clip = random_clip(net.graph, 1, 9, 0)
    ranges = some_ranges(net.graph, left_out)
    floats = {"deep", "temporal"} if left_out else {"deep"}
    for backend, isa in WAYS:
        ways = {"backend": backend, "isa": isa, "dtype": "int8", "ranges": ranges}
        one, two = pvnet.compile(net, **ways), pvnet.compile(apart, **ways)
        assert sums(one) == {k: v for k, v in FUSED.items() if k not in floats}
        assert sums(two) == {}
        got, want = run(one, clip), run(two, clip)
        for name in got:
            np.testing.assert_array_equal(got[name], want[name], err_msg=f"{ways} {name}")


def test_the_contract_holds_with_sums_over_8_bits() -> None:
    ranges = some_ranges(blocks())
    told = Options(dtype="int8", rtol=5e-2, ticks=9, ranges=ranges, backends=("ref", "cpu"))
    verify(blocks(), cuts_of(blocks(), [1, 3]), told)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_the_contract_holds_with_sums(dtype: str) -> None:
    rtol = {"f32": Options().rtol, "bf16": 3e-2}[dtype]
    verify(blocks(), cuts_of(blocks(), [1, 3]), Options(dtype=dtype, rtol=rtol, ticks=9))


def _frame(g: pvnet.Graph) -> pvnet.graph.Node:
    return g.input("frame", channels=8, height=6, width=6)


def _read_twice(g: pvnet.Graph) -> None:
    x = _frame(g)
    conv = g.conv3d(x, 8, kernel=1)
    g.output(g.concat([g.add([conv, x]), g.max_pool(conv, 1)]), name="y")


def _read_late(g: pvnet.Graph) -> None:
    x = _frame(g)
    conv = g.conv3d(x, 8, kernel=1)
    g.output(g.add([x, g.delay(conv, 1)]), name="y")


def _both_operands(g: pvnet.Graph) -> None:
    conv = g.conv3d(_frame(g), 8, kernel=1)
    g.output(g.add([conv, conv]), name="y")


def _activated(g: pvnet.Graph) -> None:
    x = _frame(g)
    g.output(g.add([g.conv3d(x, 8, kernel=1, act="relu"), x]), name="y")


def _three(g: pvnet.Graph) -> None:
    x = _frame(g)
    g.output(g.add([g.conv3d(x, 8, kernel=1), x, g.delay(x, 1)]), name="y")


def _broadcast(g: pvnet.Graph) -> None:
    x = _frame(g)
    g.output(g.add([g.conv3d(x, 8, kernel=1), g.global_pool(x)]), name="y")


def _broadcast_convolution(g: pvnet.Graph) -> None:
    x = _frame(g)
    g.output(g.add([g.conv3d(g.global_pool(x), 8, kernel=1), x]), name="y")


def _of_a_concat(g: pvnet.Graph) -> None:
    x = _frame(g)
    g.output(g.add([g.conv3d(x, 16, kernel=1), g.concat([x, g.delay(x, 1)])]), name="y")


def _slower(g: pvnet.Graph) -> None:
    x = _frame(g)
    g.output(g.add([g.conv3d(x, 8, kernel=1, stride=(2, 1, 1)), x]), name="y")


def _later(g: pvnet.Graph) -> None:
    """The add begins with its first operand, two ticks after the convolution."""
    x = _frame(g)
    g.output(g.add([g.delay(x, 2), g.conv3d(x, 8, kernel=1)]), name="y")


@pytest.mark.parametrize(
    "build",
    [
        *(_read_twice, _read_late, _both_operands, _activated, _three),
        *(_broadcast, _broadcast_convolution, _of_a_concat, _slower, _later),
    ],
)
def test_what_must_stay_apart(build: Callable[[pvnet.Graph], None]) -> None:
    g = pvnet.Graph()
    build(g)
    assert sums(pvnet.compile(random_network(g, 0))) == {}


def test_stages_between_a_convolution_and_its_sum_keep_them_apart() -> None:
    """In bf16 the bits of an output must not depend on the cut."""
    for wiring in ("sequential", "pipelined", "predictive"):
        found = set()
        for stages in range(1, 8):
            graph = blocks().wire(wiring, stages=stages)
            stage = {n.name: n.stage for n in graph.nodes}
            told = sums(pvnet.compile(random_network(graph, 0)))
            assert all(stage[conv] == stage[add] for conv, add in told.items())
            found.add(len(told))
        assert len(found) > 1, wiring


def test_a_slower_map_may_be_added() -> None:
    g = pvnet.Graph()
    x = _frame(g)
    slow = g.max_pool(x, kernel=1, stride=(2, 1, 1))
    g.output(g.add([g.conv3d(x, 8, kernel=1, name="conv"), slow], name="add"), name="y")
    plan = pvnet.compile(random_network(g, 0))
    assert sums(plan) == {"conv": "add"}
    verify(g, [1], Options())


def test_an_add_has_a_cost_of_its_own_for_partition() -> None:
    """Which is none: the convolution's time has it."""
    net = random_network(blocks(), 0)
    costs = measure_costs(net, ticks=2)
    assert {costs[add] for add in FUSED.values()} == {0.0}
    assert all(costs[conv] > 0 for conv in FUSED)
    net.graph.wire("predictive", stages=3, costs=costs)
