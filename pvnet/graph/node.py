"""The handle that every builder of a Graph returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pvnet.graph.info import ClockInfo, NodeInfo, Shape

if TYPE_CHECKING:
    from pvnet.graph.graph import Graph


class Node:
    """A value in a graph that is being built; give it to other builders.

    Attributes:
        graph: the graph it belongs to.
        name: unique in that graph.
    """

    __slots__ = ("graph", "name")

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    @property
    def info(self) -> NodeInfo:
        """Everything known about the node."""
        return self.graph.node(self.name)

    @property
    def shape(self) -> Shape:
        """(c, h, w) of one frame."""
        return self.info.shape

    @property
    def clock(self) -> ClockInfo:
        """When it is due."""
        return self.info.clock

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.graph is other.graph and self.name == other.name

    def __hash__(self) -> int:
        return hash((id(self.graph), self.name))

    def __repr__(self) -> str:
        info = self.info
        every = info.clock.period
        return f"Node({self.name!r}, {info.op}, shape={list(info.shape)}, every {every} ticks)"
