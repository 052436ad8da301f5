"""Graph: the description of a network that everything else starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pvnet import _core
from pvnet.graph import arguments as arg
from pvnet.graph.base import Node, Source, Wiring
from pvnet.graph.builders import Builders
from pvnet.graph.describe import describe


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

    @classmethod
    def from_core(cls, core: _core.Graph) -> Graph:
        """Wraps a graph of the core."""
        graph = cls()
        graph._core = core
        return graph

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
            stages: a number K: cuts that make the slowest stage as cheap as possible.
                Or one list of node names per stage; "mixed_3b/*" stands for all names that begin
                so. Or "layers": every operation with weights is a stage. What follows it without
                weights goes with it; concat, delay and feedback go with their first reader.
                Or None: the stages this graph has.
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
        k = arg.integer(where, "stages", stages)
        if not 1 <= k < 2**31:
            raise arg.refuse(where, "stages is out of range", k, "at least 1", "Ask for 1 or more.")
        measured = {str(n): float(v) for n, v in (costs or {}).items()}
        return Graph.from_core(self._core.wire_k(wiring, k, measured))

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
