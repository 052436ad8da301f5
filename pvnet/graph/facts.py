"""What a graph says about itself: plain, frozen facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class ClockInfo:
    """Due at ticks origin, origin + period, ...

    Attributes:
        period: ticks.
        origin: tick of the first firing.
    """

    period: int
    origin: int

    def is_due(self, tick: int) -> bool:
        """Whether the node computes at `tick`."""
        return tick >= self.origin and (tick - self.origin) % self.period == 0

    def firing_at(self, tick: int) -> int:
        """Index of the latest firing at or before `tick`; negative: none yet."""
        return (tick - self.origin) // self.period


@dataclass(frozen=True)
class EdgeInfo:
    """An input of a node.

    Attributes:
        node: name of the node that is read.
        delay: ticks; of the current wiring, explicit delays included.
        feedback: whether it may come from a later node.
    """

    node: str
    delay: int
    feedback: bool


@dataclass(frozen=True)
class NodeInfo:
    """A node with everything inferred.

    Attributes:
        name: unique in the graph.
        op: "conv3d", "concat", ...
        attrs: every attribute of the op, defaults filled in.
        inputs: edges, in order.
        stage: index of its stage.
        clock: when it is due.
        shape: (c, h, w) of one frame of its value.
        macs: multiply-adds of one firing.
        cost: estimated (or measured) time of one firing; only ratios matter.
    """

    name: str
    op: str
    attrs: Mapping[str, Any]
    inputs: tuple[EdgeInfo, ...]
    stage: int
    clock: ClockInfo
    shape: Shape
    macs: int
    cost: float

    @staticmethod
    def parse(spec: Mapping[str, Any]) -> NodeInfo:
        """From a node of the resolved JSON."""
        return NodeInfo(
            name=spec["name"],
            op=spec["op"],
            attrs=MappingProxyType(dict(spec["attrs"])),
            inputs=tuple(EdgeInfo(**edge) for edge in spec["inputs"]),
            stage=spec["stage"],
            clock=ClockInfo(**spec["clock"]),
            shape=_shape(spec["shape"]),
            macs=spec["macs"],
            cost=float(spec["cost"]),
        )


@dataclass(frozen=True)
class OutputInfo:
    """An output and what is known about its timing.

    Attributes:
        name: of the output.
        node: whose value it is.
        delay: ticks by which that value is read late: in the pipelined wiring all outputs of a tick
            belong to one frame, whatever stage they come from; otherwise 0.
        shape: (c, h, w) of one frame of it.
        information_latency_ticks: smallest sum of delays from an input.
        warm_up_ticks: first tick from which it is always valid.
        receptive_field_frames: newest - oldest + 1 frame it depends on; None: unbounded.
    """

    name: str
    node: str
    delay: int
    shape: Shape
    information_latency_ticks: int
    warm_up_ticks: int
    receptive_field_frames: int | None

    @staticmethod
    def parse(spec: Mapping[str, Any]) -> OutputInfo:
        """From an output of the resolved JSON."""
        return OutputInfo(**{**spec, "shape": _shape(spec["shape"])})


@dataclass(frozen=True)
class StageInfo:
    """A group of nodes that runs as one unit inside a tick.

    Attributes:
        index: 0 .. K - 1.
        nodes: names, in order.
        macs: multiply-adds when every node is due.
        cost: per tick, amortised over the periods; only ratios matter.
    """

    index: int
    nodes: tuple[str, ...]
    macs: int
    cost: float

    @staticmethod
    def parse(spec: Mapping[str, Any]) -> StageInfo:
        """From a stage of the resolved JSON."""
        return StageInfo(spec["index"], tuple(spec["nodes"]), spec["macs"], float(spec["cost"]))


def _shape(values: list[int]) -> Shape:
    return (values[0], values[1], values[2])
