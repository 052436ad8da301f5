"""Loading and compiling take time and memory by the size of a graph, or it is refused at once."""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pvnet
from pvnet import _core
from pvnet.errors import GraphError

Spec = dict[str, Any]


def node(name: str | None, op: str, inputs: list[str], stage: int = 0, **attrs: Any) -> Spec:
    spec = {"op": op, "inputs": inputs, "stage": stage, "attrs": attrs}
    return spec if name is None else {"name": name, **spec}


FRAME = node("x", "input", [], channels=4, height=4, width=4)


def document(nodes: list[Spec], outputs: list[str], wiring: str = "sequential") -> str:
    return json.dumps(
        {
            "format": "pvnet-graph",
            "version": 1,
            "wiring": wiring,
            "nodes": [FRAME, *nodes],
            "outputs": [{"name": f"y{i}", "node": n} for i, n in enumerate(outputs)],
        }
    )


def chain(n: int, op: str = "act", **attrs: Any) -> str:
    names = ["x", *(f"n{i}" for i in range(n))]
    nodes = [node(b, op, [a], **attrs) for a, b in itertools.pairwise(names)]
    return document([*nodes, node("end", "act", [names[-1]], act="relu")], ["end"])


def unnamed(n: int) -> str:
    names = ["x", *(f"act_{i + 1}" for i in range(n))]
    return document([node(None, "act", [a], act="relu") for a in names[:-1]], [names[-1]])


def outputs(n: int) -> str:
    return document([node("a", "act", ["x"], act="relu")], ["a"] * n)


def stages(n: int) -> str:
    names = ["x", *(f"n{i}" for i in range(n))]
    return document(
        [node(f"n{i}", "act", [names[i]], stage=i, act="relu") for i in range(n)],
        [names[-1]],
        "predictive",
    )


def compiled(text: str) -> _core.Plan:
    graph = pvnet.Graph.from_json(text)
    return pvnet.compile((graph, {}), backend="ref", lanes=1).core


def seconds(text: str) -> float:
    """Of the CPU, the best of three: others use the machine, too."""
    best = 1e9
    for _ in range(3):
        begin = time.process_time()
        compiled(text)
        best = min(best, time.process_time() - begin)
    return best


GROWING: dict[str, tuple[Callable[[int], str], int]] = {
    "a chain": (lambda n: chain(n, act="relu"), 300),
    "a chain of delays": (lambda n: chain(n, "delay", ticks=1), 500),
    "unnamed nodes": (unnamed, 300),
    "outputs": (outputs, 2000),
}


@pytest.mark.parametrize("what", GROWING)
def test_a_graph_eight_times_as_large_does_not_take_many_times_as_long(what: str) -> None:
    make, n = GROWING[what]
    # Linear would be 8, quadratic 64.
    assert seconds(make(8 * n)) < 24 * seconds(make(n))


def in_a_process(call: str) -> tuple[str, float]:
    """What a new process prints, and the MB it took beyond its imports."""
    code = (
        "import resource, test_compile_cost as t\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
        "before = used()\n"
        f"print({call})\n"
        "print(used() - before)\n"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        # Not from the source tree, which lies in front of the installed package there.
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PYTHONPATH": f"{here}:{here.parent}", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    *said, used = done.stdout.splitlines()
    return "\n".join(said), float(used)


@pytest.mark.parametrize(
    "text",
    ["chain(10000, act='relu')", "chain(20000, 'delay', ticks=1)"],
)
def test_large_graphs_do_not_take_gigabytes(text: str) -> None:
    said, used = in_a_process(f"t.compiled(t.{text}).hyper_period")
    assert said == "1"
    assert used < 100


def test_a_thousand_stages_have_their_ages() -> None:
    plan = compiled(stages(1000))
    ages = plan.outputs()[0]["age_ticks"]
    assert len(ages) == plan.settle_ticks + 1 == 1000
    assert ages[-1] == [999] * 1000
    assert ages[-2] == [-1] * 1000


def doubled(times: int, readers: int) -> str:
    """A concat of itself again and again."""
    nodes, last = [], "x"
    for i in range(times):
        nodes.append(node(f"c{i}", "concat", [last, last]))
        last = f"c{i}"
    names = [f"a{i}" for i in range(readers)]
    return document([*nodes, *(node(n, "act", [last], act="relu") for n in names)], names)


def test_a_concat_of_itself_is_refused_before_it_is_expanded() -> None:
    text = doubled(17, 64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GraphError, match="reads too many values through its concats: got 131072"):
        compiled(text)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    assert compiled(doubled(10, 4)).hyper_period == 1


def test_many_readers_of_a_large_concat_are_refused_in_sum() -> None:
    with pytest.raises(GraphError, match="through concats, up to"):
        compiled(doubled(14, 80))


def test_a_long_hyper_period_of_many_operations_is_refused() -> None:
    names = ["x", *(f"n{i}" for i in range(1000))]
    nodes = [node(b, "act", [a], act="relu") for a, b in itertools.pairwise(names)]
    rare = node("rare", "max_pool", ["x"], kernel=[1, 1, 1], stride=[4096, 1, 1])
    with pytest.raises(GraphError, match="schedule of the hyper-period is too large"):
        compiled(document([*nodes, rare], [names[-1], "rare"]))
    assert compiled(document([rare], ["rare"])).hyper_period == 4096


def test_delays_that_read_only_each_other_do_not_crash_the_compiler() -> None:
    nodes = [
        node("back", "feedback", ["wait"], channels=4, height=4, width=4),
        node("wait", "delay", ["back"], ticks=1),
        node("sum", "add", ["x", "wait"]),
    ]
    with pytest.raises(GraphError, match="read each other in a circle"):
        compiled(document(nodes, ["sum"]))
