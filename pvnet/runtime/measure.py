"""Measured node times, for cutting stages and levelling lanes by what really takes long."""

from __future__ import annotations

from typing import Any

from pvnet.runtime.compile import compile
from pvnet.runtime.model import to_model
from pvnet.runtime.node_times import node_times
from pvnet.runtime.plan import Plan


def measure_costs(source: Any, *, ticks: int = 20, isa: str | None = None) -> dict[str, float]:
    """Runs a model on one lane and times every node.

    Args:
        source: a Plan, or anything `pvnet.compile` takes.
        ticks: ticks to time, after the warm-up.
        isa: CPU instruction set to force.

    Returns:
        Microseconds per firing by node, for `graph.wire(..., costs=...)` and
        `pvnet.compile(..., costs=...)`: the lower quartile over the ticks, as what other programs
        take is in the longer ones.

    """
    plan = (
        source
        if isinstance(source, Plan)
        else compile(to_model(source, "measure_costs"), lanes=1, isa=isa)
    )
    return node_times(plan, ticks)
