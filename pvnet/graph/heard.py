"""Which frames the value of a stage has heard of in a tick, and how old they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pvnet.graph.arguments import refuse

if TYPE_CHECKING:
    from pvnet.graph.facts import EdgeInfo, NodeInfo
    from pvnet.graph.graph import Graph

LAST_TICK = 1000


@dataclass(frozen=True)
class Heard:
    """What something has heard of at a tick.

    Attributes:
        tick: the tick.
        frames: indices of frames, ascending; frame i came at tick i.
    """

    tick: int
    frames: tuple[int, ...]

    @property
    def ages_ticks(self) -> tuple[int, ...]:
        """How old each frame is."""
        return tuple(self.tick - frame for frame in self.frames)

    def words(self) -> str:
        """The frames and their ages in a line: `frames 3, 5-7: 1 to 5 ticks old`."""
        if not self.frames:
            return "no frame yet"
        ages = self.ages_ticks
        old = f"{ages[-1]}" if ages[0] == ages[-1] else f"{ages[-1]} to {ages[0]}"
        plural = "s" if len(self.frames) > 1 else ""
        unit = "tick" if old == "1" else "ticks"
        return f"frame{plural} {ranges(self.frames)}: {old} {unit} old"


@dataclass(frozen=True)
class Way:
    """How frames come into a stage.

    Attributes:
        source: stage that is read; None: the input of the network.
        delay_ticks: of the edges.
        heard: what is read there has heard of.
    """

    source: int | None
    delay_ticks: int
    heard: Heard


def heard(graph: Graph, tick: int) -> list[Heard]:
    """What the value of every stage has heard of after a tick.

    The value of a stage are its nodes that other stages or outputs read. A frame is heard of if a
    change of it can change the value: every tap, skip and feedback counts.

    Args:
        graph: a complete graph.
        tick: index of the tick; frame 0 came at tick 0.

    Raises:
        InvalidArgumentError: tick is below 0 or above 1000.
        GraphError: the graph is not complete.
    """
    masks = _masks(graph, tick)
    out = []
    for stage in range(graph.n_stages):
        mask = 0
        for node in _leaving(graph, stage):
            mask |= _at(masks, node, tick)
        out.append(Heard(tick, _frames(mask)))
    return out


def ways(graph: Graph, tick: int, stage: int) -> list[Way]:
    """By which edges from elsewhere frames come into a stage in a tick.

    Args:
        graph: a complete graph.
        tick: index of the tick.
        stage: index of the stage.

    Raises:
        InvalidArgumentError: tick or stage is out of range.
    """
    if not 0 <= stage < graph.n_stages:
        raise refuse(
            "heard", "there is no such stage", stage, f"0 to {graph.n_stages - 1}", "Choose one."
        )
    masks = _masks(graph, tick)
    nodes = {n.name: n for n in graph.nodes}
    found: dict[tuple[int | None, int], int] = {}
    for node in graph.nodes:
        if node.stage != stage:
            continue
        at = node.clock.origin + node.clock.firing_at(tick) * node.clock.period
        for edge in node.inputs if at >= node.clock.origin else ():
            other = nodes[edge.node]
            outer = other.stage != stage or other.op == "input" or edge.delay
            if not outer:
                continue
            key = (None if other.op == "input" else other.stage, edge.delay)
            found[key] = found.get(key, 0) | _taps(masks, node, other, edge, at)
    order = sorted(found, key=lambda key: (-1 if key[0] is None else key[0], key[1]))
    return [Way(source, d, Heard(tick, _frames(found[source, d]))) for source, d in order]


def ranges(frames: tuple[int, ...]) -> str:
    """Indices in short: `3, 5-7`."""
    parts: list[list[int]] = []
    for frame in frames:
        if parts and frame == parts[-1][1] + 1:
            parts[-1][1] = frame
        else:
            parts.append([frame, frame])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


# Per node, the frames of every firing, as bits of an integer.
_Masks = dict[str, list[int]]


def _masks(graph: Graph, tick: int) -> _Masks:
    if not 0 <= tick <= LAST_TICK:
        raise refuse("heard", "tick is out of range", tick, f"0 to {LAST_TICK}", "Choose one.")
    graph.check()
    nodes = {n.name: n for n in graph.nodes}
    masks: _Masks = {name: [] for name in nodes}
    for t in range(tick + 1):
        for node in graph.nodes:  # in topological order; feedback reads earlier ticks
            if not node.clock.is_due(t):
                continue
            mask = 1 << t if node.op == "input" else 0
            for edge in node.inputs:
                mask |= _taps(masks, node, nodes[edge.node], edge, t)
            masks[node.name].append(mask)
    return masks


def _taps(masks: _Masks, node: NodeInfo, other: NodeInfo, edge: EdgeInfo, tick: int) -> int:
    """What a node reads over one edge in a tick."""
    kernel, dilation = node.attrs.get("kernel"), node.attrs.get("dilation")
    taps = int(kernel[0]) if kernel is not None else 1
    step = int(dilation[0]) if dilation is not None else 1
    newest = other.clock.firing_at(tick - edge.delay)
    read = masks[other.name]
    mask = 0
    for tap in range(taps):
        if newest - tap * step >= 0:
            mask |= read[newest - tap * step]
    return mask


def _at(masks: _Masks, node: NodeInfo, tick: int) -> int:
    firing = node.clock.firing_at(tick)
    return masks[node.name][firing] if firing >= 0 else 0


def _leaving(graph: Graph, stage: int) -> list[NodeInfo]:
    """The nodes of a stage that are read outside of it; of a last one without readers all."""
    stages = {n.name: n.stage for n in graph.nodes}
    read = {o.node for o in graph.outputs}
    read |= {e.node for n in graph.nodes for e in n.inputs if n.stage != stages[e.node]}
    mine = [n for n in graph.nodes if n.stage == stage]
    return [n for n in mine if n.name in read and n.op != "input"] or mine


def _frames(mask: int) -> tuple[int, ...]:
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)
