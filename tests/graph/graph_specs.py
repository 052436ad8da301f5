"""Random small graphs for property tests."""

from __future__ import annotations

import itertools
import random

import pvnet
from pvnet.graph import Node


def random_graph(seed: int, *, feedback: bool = True, nodes: int = 8) -> pvnet.Graph:
    """A graph of small convolutions, pools, concats, adds, delays and feedback; always valid."""
    rng = random.Random(seed)
    graph = pvnet.Graph()
    values: list[Node] = [graph.input("frame", channels=2, height=8, width=8)]
    if rng.random() < 0.2:
        values.append(graph.input("other", channels=2, height=8, width=8))
    loops = []
    stride = rng.choice((2, 2, 3))
    for index in range(rng.randint(2, nodes)):
        if feedback and rng.random() < 0.12:
            loops.append(f"fb{index}")
            values.append(
                graph.feedback("last", like=(2, 8, 8), ticks=rng.randint(1, 3), name=loops[-1])
            )
            continue
        x = values[-1] if rng.random() < 0.6 else rng.choice(values)
        values.append(_node(graph, rng, x, values, stride))
    fed = [v for v in values if not loops or _reaches_input(graph, v.name)]
    x = graph.concat([rng.choice(fed), *rng.sample(values, min(2, len(values)))])
    graph.conv3d(x, 2, kernel=(rng.randint(1, 3), 1, 1), name="last")
    graph.output("last", name="out")
    graph.output(rng.choice(fed), name="middle")
    return graph


def _node(graph: pvnet.Graph, rng: random.Random, x: Node, values: list[Node], stride: int) -> Node:
    kind = rng.randrange(10)
    if kind < 5:
        st = rng.choice((1, 1, 1, stride))
        if x.clock.period * st > 12:
            st = 1
        phase = rng.randrange(x.clock.period * st) if rng.random() < 0.3 else 0
        kernel = (rng.randint(1, 3), rng.choice((1, 3)), 3)
        return graph.conv3d(
            x, 2, kernel=kernel, stride=(st, 1, 1), dilation=(rng.randint(1, 2), 1, 1), phase=phase
        )
    if kind == 5:
        return graph.max_pool(x, kernel=(rng.randint(1, 2), 3, 3))
    if kind == 6:
        return graph.delay(x, rng.randint(0, 4))
    if kind == 7:
        return graph.act(x, "relu")
    if kind == 8:
        return graph.add([x, rng.choice(values)])
    cat = graph.concat([x, rng.choice(values)])
    return graph.conv3d(cat, 2, kernel=1)


def _reaches_input(graph: pvnet.Graph, name: str) -> bool:
    nodes = {n.name: n for n in graph.nodes}
    todo = [name]
    while todo:
        node = nodes[todo.pop()]
        if node.op == "input":
            return True
        todo += [e.node for e in node.inputs if not e.feedback]
    return False


def random_stages(seed: int, graph: pvnet.Graph) -> list[list[str]]:
    """A random legal cut: contiguous in node order, every stage with a node."""
    rng = random.Random(seed)
    names = [n.name for n in graph.nodes if n.op != "input"]
    k = rng.randint(1, min(4, len(names)))
    cuts = [0, *sorted(rng.sample(range(1, len(names)), k - 1)), len(names)]
    return [names[a:b] for a, b in itertools.pairwise(cuts)]
