"""Independent items of work, spread over a Ray cluster, whose workers may die; docs/data.md."""

from __future__ import annotations

from pvnet.cluster.connection import ClusterError
from pvnet.cluster.work import Cluster, Outcome, spread

__all__ = ["Cluster", "ClusterError", "Outcome", "spread"]
