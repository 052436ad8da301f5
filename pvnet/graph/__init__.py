"""Networks as graphs: nodes, clocks, stages, delays. No weights, no torch."""

from pvnet.graph.base import Node
from pvnet.graph.graph import Graph
from pvnet.graph.info import ClockInfo, EdgeInfo, NodeInfo, OutputInfo, StageInfo

__all__ = ["ClockInfo", "EdgeInfo", "Graph", "Node", "NodeInfo", "OutputInfo", "StageInfo"]
