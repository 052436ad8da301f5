"""Who works on which frame in which tick: the data behind the drawings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pvnet.graph.arguments import refuse

if TYPE_CHECKING:
    from pvnet.graph.facts import NodeInfo
    from pvnet.graph.graph import Graph

DEFAULT_TICKS = 12
FREE_OPS = frozenset({"input", "concat", "delay", "feedback"})


@dataclass(frozen=True)
class Cell:
    """One stage in one tick.

    Attributes:
        frame: index of the frame it works on, or whose value it holds; the oldest one where paths
            of different length meet. None: no frame has come that far.
        due: whether a node of the stage computes in this tick.
    """

    frame: int | None
    due: bool


@dataclass(frozen=True)
class Skip:
    """An edge that jumps over stages, with a smaller delay than their number.

    Attributes:
        source: stage it comes from.
        target: stage that reads it.
        delay_ticks: of the edge.
    """

    source: int
    target: int
    delay_ticks: int


def cells(graph: Graph, *, ticks: int | None = None) -> list[list[Cell]]:
    """The timeline as [stage][tick].

    Args:
        graph: a complete graph.
        ticks: how many; None = 12.

    Raises:
        InvalidArgumentError: ticks is below 1 or above 1000.
        GraphError: the graph is not complete.
    """
    count = DEFAULT_TICKS if ticks is None else ticks
    if not 1 <= count <= 1000:
        raise refuse("timeline", "ticks is out of range", ticks, "1 to 1000", "Draw fewer ticks.")
    graph.check()
    nodes = graph.nodes
    everything: list[list[NodeInfo]] = [[] for _ in range(graph.n_stages)]
    for node in nodes:
        everything[node.stage].append(node)
    # A stage may have nothing but inputs, concats, delays or feedback.
    members = [[n for n in mine if n.op not in FREE_OPS] or mine for mine in everything]
    frames = _frames(nodes, count)
    return [[_cell(mine, frames, tick) for tick in range(count)] for mine in members]


def fresh_skips(graph: Graph) -> list[Skip]:
    """Skips of delay 1: what they bring is newer than the frame of the stage they enter."""
    stage = {n.name: n.stage for n in graph.nodes}
    found = {
        Skip(stage[e.node], n.stage, e.delay)
        for n in graph.nodes
        for e in n.inputs
        if not e.feedback and 0 < e.delay < n.stage - stage[e.node]
    }
    return sorted(found, key=lambda s: (s.source, s.target, s.delay_ticks))


def _frames(nodes: list[NodeInfo], ticks: int) -> dict[str, list[int | None]]:
    """Per node and firing, the oldest frame among the newest taps of its inputs."""
    frames: dict[str, list[int | None]] = {n.name: [] for n in nodes}
    looped: set[str] = set()  # fed by nothing but feedback: no frame of its own
    clocks = {n.name: n.clock for n in nodes}
    for node in nodes:
        reads = [e for e in node.inputs if not e.feedback and e.node not in looped]
        if node.op != "input" and not reads:
            looped.add(node.name)
        for tick in range(node.clock.origin, ticks, node.clock.period):
            found: list[int | None] = [tick] if node.op == "input" else []
            for edge in reads:
                firing = clocks[edge.node].firing_at(tick - edge.delay)
                found.append(frames[edge.node][firing] if firing >= 0 else None)
            known = [f for f in found if f is not None]
            complete = len(known) == len(found) and known
            frames[node.name].append(min(known) if complete else None)
    return frames


def _cell(mine: list[NodeInfo], frames: dict[str, list[int | None]], tick: int) -> Cell:
    due = [n for n in mine if n.clock.is_due(tick)]
    seen = []
    for node in due or mine:
        firing = node.clock.firing_at(tick)
        frame = frames[node.name][firing] if firing >= 0 else None
        if frame is not None:
            seen.append(frame)
    return Cell(frame=min(seen) if seen else None, due=bool(due))
