"""What every part of a graph stands on: the core's graph, its facts, and the handles of nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, cast

from pvnet import _core
from pvnet.errors import GraphError
from pvnet.graph import arguments as arg
from pvnet.graph.facts import ClockInfo, NodeInfo, OutputInfo, Shape, StageInfo

Wiring = Literal["sequential", "pipelined", "predictive"]


class Node:
    """A value in a graph that is being built; give it to other builders.

    Attributes:
        graph: the graph it belongs to.
        name: unique in that graph.
    """

    __slots__ = ("graph", "name")

    def __init__(self, graph: GraphBase, name: str) -> None:
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


Source = Node | str


class GraphBase:
    """A graph of the core, and what it says about itself."""

    def __init__(self) -> None:
        self._core = _core.Graph()
        self._resolved: dict[str, Any] | None = None
        self._nodes: dict[str, NodeInfo] = {}

    @property
    def core(self) -> _core.Graph:
        """The graph of the core that this one wraps."""
        return self._core

    def _add(self, op: str, name: str | None, inputs: Sequence[str], attrs: dict[str, Any]) -> Node:
        spec = {
            "op": op,
            "name": "" if name is None else arg.word(f"Graph.{op}", "name", name),
            "inputs": list(inputs),
            "attrs": attrs,
        }
        added = self._core.add(json.dumps(spec))
        self._forget()
        return Node(self, added)

    def _forget(self) -> None:
        self._resolved = None
        self._nodes = {}

    def _source(self, where: str, x: Source) -> str:
        if isinstance(x, str):
            return x
        if not isinstance(x, Node):
            raise arg.refuse(
                where, "a source is no node", x, "a node", "Give what a builder returned."
            )
        if x.graph is not self:
            raise GraphError(
                f"[{where}] a node belongs to another graph: got {x.name!r}, expected a node of "
                "this graph. Build every node with the same Graph object, before wire()."
            )
        return x.name

    def _info(self, where: str, x: Source) -> NodeInfo:
        return self.node(self._source(where, x))

    def _facts(self) -> dict[str, Any]:
        if self._resolved is None:
            self._resolved = json.loads(self._core.resolved_json())
        return self._resolved

    @property
    def nodes(self) -> list[NodeInfo]:
        """All nodes, in an order in which they can run."""
        names = self._core.node_names()
        if len(self._nodes) < len(names):
            try:
                specs = self._facts()["nodes"]
            except GraphError:  # not complete yet
                specs = [json.loads(self._core.resolved_node(n)) for n in names]
            self._nodes = {spec["name"]: NodeInfo.parse(spec) for spec in specs}
        return list(self._nodes.values())

    def node(self, name: str) -> NodeInfo:
        """The node called `name`.

        Raises:
            GraphError: there is none.
        """
        if name not in self._nodes:
            return NodeInfo.parse(json.loads(self._core.resolved_node(name)))
        return self._nodes[name]

    @property
    def outputs(self) -> list[OutputInfo]:
        """All outputs, in the order of declaration.

        Raises:
            GraphError: the graph is not complete; see `check`.
        """
        return [OutputInfo.parse(spec) for spec in self._facts()["outputs"]]

    @property
    def stages(self) -> list[StageInfo]:
        """All stages.

        Raises:
            GraphError: the graph is not complete; see `check`.
        """
        return [StageInfo.parse(spec) for spec in self._facts()["stages"]]

    @property
    def stage_lists(self) -> list[list[str]]:
        """Node names by stage, as `wire` takes them."""
        lists: list[list[str]] = [[] for _ in range(self.n_stages)]
        for node in self.nodes:
            lists[node.stage].append(node.name)
        return lists

    @property
    def n_stages(self) -> int:
        """Number of stages; 1 before the graph is wired."""
        return self._core.n_stages

    @property
    def wiring(self) -> Wiring:
        """The wiring; "sequential" before the graph is wired."""
        return cast("Wiring", self._core.wiring)

    @property
    def hyper_period(self) -> int:
        """Ticks after which the schedule repeats: the least common multiple of all periods."""
        return self._core.hyper_period

    def resolved_json(self) -> str:
        """Everything inferred as JSON: shapes, clocks, delays, stages, costs, latencies."""
        return self._core.resolved_json()
