"""A resolved graph as the steps that torch walks: who reads which firings of whom, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pvnet.nn.frames import is_pointwise
from pvnet.nn.operations import TEMPORAL
from pvnet.nn.window import Read, count_firings

if TYPE_CHECKING:
    from pvnet.graph import Graph


@dataclass(frozen=True)
class Step:
    """One node, ready to be evaluated.

    Attributes:
        name: of the node.
        op: of the node; "input" has no reads.
        attrs: all attributes of the op.
        reads: one per input edge, in order.
        period: of the node, in ticks.
        origin: of the node, in ticks.
        shape: (c, h, w) of one frame of the value.
        ring_depth: firings of this node that its readers may still need after a tick.
    """

    name: str
    op: str
    attrs: Mapping[str, Any]
    reads: tuple[Read, ...]
    period: int
    origin: int
    shape: tuple[int, int, int]
    ring_depth: int

    def firings(self, ticks: int) -> int:
        """Number of firings in ticks 0 .. ticks - 1."""
        return count_firings(self.period, self.origin, ticks)


@dataclass(frozen=True)
class Program:
    """The steps of a graph in the order of one tick, and in groups for a whole clip.

    Attributes:
        steps: every node; each delay-0 edge goes forward.
        groups: the same steps. A group of several (or of one that reads itself) is a feedback cycle
            and must be run tick by tick. Any other can be run over the whole clip at once after the
            groups before it.
        inputs: names of the input nodes.
        outputs: (output name, how its node is read at every tick).
        longer: per concat, the longest other one whose inputs are the first of its own (in a dense
            block, that of the layer before).
        together: per pointwise convolution that others follow which read the same at the same
            firings (the branches of an Inception block): all of them, itself first.
    """

    steps: tuple[Step, ...]
    groups: tuple[tuple[Step, ...], ...]
    inputs: tuple[str, ...]
    outputs: tuple[tuple[str, Read], ...]
    longer: Mapping[str, Step]
    together: Mapping[str, tuple[Step, ...]]

    def step(self, name: str) -> Step | None:
        """The step of node `name`, or None."""
        return next((s for s in self.steps if s.name == name), None)

    def is_cycle(self, group: Sequence[Step]) -> bool:
        """Whether the steps of a group depend on their own past values."""
        return _is_cycle(group)


def _is_cycle(group: Sequence[Step]) -> bool:
    return len(group) > 1 or any(r.source == group[0].name for r in group[0].reads)


def build_program(graph: Graph) -> Program:
    """The program of a graph in its present wiring."""
    nodes = {n.name: n for n in graph.nodes}
    reads: dict[str, tuple[Read, ...]] = {}
    for n in graph.nodes:
        taps, dilation = TEMPORAL[n.op](n.attrs) if n.op in TEMPORAL else (1, 1)
        reads[n.name] = tuple(
            Read(
                source=edge.node,
                period=nodes[edge.node].clock.period,
                origin=nodes[edge.node].clock.origin,
                delay=edge.delay,
                taps=taps,
                dilation=dilation,
            )
            for edge in n.inputs
        )
    outputs = tuple(
        (o.name, Read(o.node, nodes[o.node].clock.period, nodes[o.node].clock.origin, o.delay))
        for o in graph.outputs
    )
    depth = dict.fromkeys(nodes, 1)
    for read in (*(r for rs in reads.values() for r in rs), *(r for _, r in outputs)):
        depth[read.source] = max(depth[read.source], read.ring_depth)
    steps = {
        n.name: Step(
            name=n.name,
            op=n.op,
            attrs=dict(n.attrs),
            reads=reads[n.name],
            period=n.clock.period,
            origin=n.clock.origin,
            shape=(n.shape[0], n.shape[1], n.shape[2]),
            ring_depth=depth[n.name],
        )
        for n in graph.nodes
    }
    order = {name: i for i, name in enumerate(steps)}
    components = strongly_connected({k: [r.source for r in v] for k, v in reads.items()})
    groups = tuple(tuple(steps[k] for k in sorted(c, key=order.__getitem__)) for c in components)
    return Program(
        steps=tuple(steps.values()),
        groups=groups,
        inputs=tuple(n.name for n in graph.nodes if n.op == "input"),
        outputs=outputs,
        longer=_longer([steps[k] for c in components for k in c]),
        together=_together([group[0] for group in groups if not _is_cycle(group)]),
    )


def _longer(steps: Sequence[Step]) -> dict[str, Step]:
    """Per concat, the longest earlier one that it only makes longer, at the same firings."""
    seen: dict[tuple[tuple[Read, ...], int, int], Step] = {}
    found = {}
    for step in steps:
        if step.op != "concat":
            continue
        for n in range(len(step.reads) - 1, 1, -1):
            begun = seen.get((step.reads[:n], step.period, step.origin))
            if begun is not None:
                found[step.name] = begun
                break
        seen.setdefault((step.reads, step.period, step.origin), step)
    return found


def _together(steps: Sequence[Step]) -> dict[str, tuple[Step, ...]]:
    """Pointwise convolutions without bias that read the same at the same firings, per first one."""
    found: dict[tuple[tuple[Read, ...], int, int], list[Step]] = {}
    for step in steps:
        if is_pointwise(step.op, step.attrs) and not step.attrs["bias"]:
            found.setdefault((step.reads, step.period, step.origin), []).append(step)
    return {same[0].name: tuple(same) for same in found.values() if len(same) > 1}


def strongly_connected(sources: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Strongly connected components, every one after the components it reads (Tarjan).

    Written without recursion: a network may be deeper than the interpreter's stack.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: list[str] = []
    is_open: set[str] = set()
    found: list[list[str]] = []
    for root in sources:
        if root in index:
            continue
        work = [(root, iter(sources[root]))]
        index[root] = low[root] = len(index)
        open_nodes.append(root)
        is_open.add(root)
        while work:
            node, rest = work[-1]
            child = next(rest, None)
            if child is None:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    component: list[str] = []
                    while not component or component[-1] != node:
                        component.append(open_nodes.pop())
                        is_open.discard(component[-1])
                    found.append(component)
            elif child not in index:
                index[child] = low[child] = len(index)
                open_nodes.append(child)
                is_open.add(child)
                work.append((child, iter(sources[child])))
            elif child in is_open:
                low[node] = min(low[node], index[child])
    return found
