"""Networks as graphs: nodes, clocks, stages, delays. No weights, no torch."""

from pvnet.graph.base import Node
from pvnet.graph.facts import ClockInfo, EdgeInfo, NodeInfo, OutputInfo, StageInfo
from pvnet.graph.graph import Graph

__all__ = ["ClockInfo", "EdgeInfo", "Graph", "Node", "NodeInfo", "OutputInfo", "StageInfo"]
