"""A graph as text: what every stage costs, what it waits for, how old an output is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pvnet.tables import glued, layout

if TYPE_CHECKING:
    from pvnet.graph.base import GraphBase
    from pvnet.graph.facts import NodeInfo, OutputInfo


def describe(graph: GraphBase) -> str:
    """The table of `Graph.describe`."""
    nodes = graph.nodes
    stages = graph.stages
    total = sum(s.cost for s in stages)
    slowest = max(s.cost for s in stages)
    bound = total / slowest if slowest > 0 else 1.0
    head = (
        f"{_count(len(nodes), 'node')}, {_count(len(stages), 'stage')}, {graph.wiring} wiring, "
        f"hyper-period {_count(graph.hyper_period, 'tick')}"
    )
    header = ["stage", "nodes", "first .. last node", "MMAC", "cost", "delays in", "every"]
    right = [True, True, False, True, True, False, False]
    rows: list[list[str]] = []
    stage_of = {n.name: n.stage for n in nodes}
    members: list[list[NodeInfo]] = [[] for _ in stages]
    for n in nodes:
        members[n.stage].append(n)
    for stage in stages:
        mine = members[stage.index]
        delays = sorted(
            {
                (stage_of[e.node], e.delay, e.feedback)
                for n in mine
                for e in n.inputs
                if stage_of[e.node] != stage.index or e.delay > 0
            }
        )
        share = 100 * stage.cost / total if total > 0 else 0.0
        periods = sorted({n.clock.period for n in mine})
        rows.append(
            [
                str(stage.index),
                str(len(mine)),
                _ends(mine[0].name, mine[-1].name),
                f"{stage.macs / 1e6:.2f}",
                f"{share:.1f} %",
                ", ".join(
                    glued(f"{d} from {'feedback ' if f else ''}{s}") for s, d, f in delays[:4]
                ) + (", ..." if len(delays) > 4 else "") or "-",
                ", ".join(map(str, periods)),
            ]
        )  # fmt: skip
    lines = [head, layout(header, rows, right=right), *(_output(o) for o in graph.outputs)]
    lines.append(
        f"bound: total cost / slowest stage = {bound:.2f}: so many times faster than one lane a "
        "tick can get by running whole stages side by side"
    )
    return "\n".join(lines)


def _ends(first: str, last: str) -> str:
    return first if first == last else f"{first} {glued('.. ' + last)}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _output(o: OutputInfo) -> str:
    field = o.receptive_field_frames
    sees = "unbounded (feedback)" if field is None else _count(field, "frame")
    return (
        f"output {o.name} {list(o.shape)}: "
        f"information latency {_count(o.information_latency_ticks, 'tick')}, "
        f"warm-up {_count(o.warm_up_ticks, 'tick')}, receptive field {sees}"
    )
