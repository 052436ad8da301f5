"""Graph: the description of a network that everything else starts from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from pvnet import _core
from pvnet.errors import GraphError
from pvnet.graph import arguments as arg
from pvnet.graph.builders import Builders, Source
from pvnet.graph.describe import describe
from pvnet.graph.info import NodeInfo, OutputInfo, StageInfo
from pvnet.graph.node import Node

Wiring = Literal["sequential", "pipelined", "predictive"]


class Graph(Builders):
    """Nodes, clocks, stages and delays of a network; no weights, no state.

    Build it with `input`, `conv3d`, ..., `output`, then cut it into stages with `wire`::

        graph = pvnet.Graph()
        x = graph.input("frame", channels=3, height=32, width=32)
        x = graph.conv3d(x, 8, kernel=3, norm=True, act="relu", name="stem")
        x = graph.linear(graph.global_pool(x), 10, name="logits")
        graph.output(x, name="logits")
        graph = graph.wire("predictive", stages=2)

    The core infers and checks shapes and clocks at every call.
    """

    def __init__(self) -> None:
        self._core = _core.Graph()
        self._resolved: dict[str, Any] | None = None
        self._nodes: dict[str, NodeInfo] = {}

    @classmethod
    def from_core(cls, core: _core.Graph) -> Graph:
        """Wraps a graph of the core."""
        graph = cls()
        graph._core = core
        return graph

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

    def output(self, x: Source, *, name: str | None = None) -> Node:
        """Declares the value of `x` an output.

        Args:
            x: a node, or its name.
            name: of the output; None = the name of the node.

        Raises:
            GraphError: unknown node, or a second output of this name.
        """
        source = self._source("Graph.output", x)
        self._core.set_output(
            source if name is None else arg.word("Graph.output", "name", name), source
        )
        self._forget()
        return Node(self, source)

    def check(self) -> None:
        """Checks what can only be checked when all nodes are there.

        Raises:
            GraphError: no input or output, a feedback target that is missing or of another shape,
                an output that depends on no input, clocks that do not fit.
        """
        self._core.check()

    def wire(
        self,
        wiring: Wiring | str,
        stages: int | Sequence[Sequence[str]] | str | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> Graph:
        """The same nodes with other timing, as a new graph.

        Args:
            wiring: "sequential" (no delays), "pipelined" (exact, K - 1 ticks later) or
                "predictive" (delay 1 on every edge that leaves a stage).
            stages: a number K: cuts that make the slowest stage as cheap as possible; or one list
                of node names per stage, where "mixed_3b/*" stands for all names that begin so; or
                "layers": every operation with weights is a stage, what follows it without weights
                goes with it, and concat, delay and feedback go with their first reader; or None:
                the stages this graph has.
            costs: measured microseconds per firing by node (see `pvnet.runtime.measure_costs`),
                for a number K.

        Raises:
            InvalidArgumentError: stages or costs that do not fit the nodes.
            GraphError: the graph cannot run in this wiring; see also `check`.
        """
        where = "Graph.wire"
        arg.word(where, "wiring", wiring)
        if stages is None:
            stages = self.stage_lists
        if isinstance(stages, str):
            if stages != "layers":
                raise arg.refuse(
                    where, "no such cut", stages, '"layers"', 'Ask for "layers" or a number.'
                )
            if costs is not None:
                raise arg.refuse(
                    where, "costs have no use", stages, "a number of stages", "Leave out costs."
                )
            return Graph.from_core(self._core.wire_layers(wiring))
        if isinstance(stages, Sequence):
            lists = [_names(where, entry) for entry in stages]
            if costs is not None:
                raise arg.refuse(
                    where, "costs have no use", lists, "a number of stages", "Leave out costs."
                )
            return Graph.from_core(self._core.wire(wiring, lists))
        k = arg.integer(where, "stages", cast("int", stages))
        if not 1 <= k < 2**31:
            raise arg.refuse(where, "stages is out of range", k, "at least 1", "Ask for 1 or more.")
        measured = {str(n): float(v) for n, v in (costs or {}).items()}
        return Graph.from_core(self._core.wire_k(wiring, k, measured))

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

    def expected_weights(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of every weight the graph needs, in node order (all float32)."""
        return [(name, tuple(shape)) for name, shape in _core.expected_weights(self._core)]

    def describe(self) -> str:
        """Stages, costs, delays, clocks and latencies as a table.

        Raises:
            GraphError: the graph is not complete; see `check`.
        """
        return describe(self)

    def to_json(self) -> str:
        """The graph as it is stored in a model file."""
        return self._core.to_json()

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """The graph of a `to_json` text.

        Raises:
            FileError: the text is no graph, or from a newer version.
            GraphError: the graph cannot run.
        """
        return cls.from_core(_core.Graph.from_json(text))

    def resolved_json(self) -> str:
        """Everything inferred as JSON: shapes, clocks, delays, stages, costs, latencies."""
        return self._core.resolved_json()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self._core.to_json() == other._core.to_json()

    __hash__ = None  # type: ignore[assignment]  # it grows while it is built

    def __copy__(self) -> Graph:
        return Graph.from_core(self._core.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Graph.from_json, (self.to_json(),))

    def __repr__(self) -> str:
        count = len(self._core.node_names())
        return f"Graph({count} nodes, {self.n_stages} stages, {self.wiring})"


def _names(where: str, entry: object) -> list[str]:
    if isinstance(entry, Sequence) and not isinstance(entry, str):
        names = [n.name if isinstance(n, Node) else n for n in entry]
        if all(isinstance(n, str) for n in names):
            return names
    raise arg.refuse(
        where, "a stage is no list of names", entry, "a list of node names", "Give [[...], [...]]."
    )
