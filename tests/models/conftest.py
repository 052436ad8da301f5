"""Small helpers that read facts off a model's graph."""

from __future__ import annotations

import re

import pytest
from shared_fixtures import one_thread

from pvnet.graph import Graph

__all__ = ["facts", "message", "one_thread"]

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)


class Facts:
    """What the tests ask of a graph, by name."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = {n.name: n for n in graph.nodes}

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.nodes[name].shape)

    def channels(self, *names: str) -> list[int]:
        return [self.shape(n)[0] for n in names]

    def gmacs_per_tick(self) -> float:
        return sum(n.macs / n.clock.period for n in self.nodes.values()) / 1e9

    def stage_macs(self) -> list[float]:
        total: dict[int, float] = {}
        for n in self.nodes.values():
            total[n.stage] = total.get(n.stage, 0.0) + n.macs / n.clock.period
        return [total[s] for s in sorted(total)]

    def output(self):
        (out,) = self.graph.outputs
        return out


@pytest.fixture
def facts():
    return Facts


@pytest.fixture
def message():
    return MESSAGE
