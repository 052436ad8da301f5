"""Networks as graphs: nodes, clocks, stages, delays. No weights, no torch."""

from pvnet.graph.graph import Graph
from pvnet.graph.info import ClockInfo, EdgeInfo, NodeInfo, OutputInfo, StageInfo
from pvnet.graph.node import Node

__all__ = ["ClockInfo", "EdgeInfo", "Graph", "Node", "NodeInfo", "OutputInfo", "StageInfo"]
