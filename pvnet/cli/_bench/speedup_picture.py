"""The picture of `pvnet bench`: speed-up over stages, one line per wiring and number of lanes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pvnet.files import save_figure

_STYLES = {"pipelined": "-", "predictive": "--", "sequential": ":", "round-robin": "-."}


def draw_speedup(document: dict[str, Any], path: Path) -> bool:
    """Draw the rows of a benchmark document.

    Args:
        document: of `pvnet bench`.
        path: .png or .svg to write.

    Returns:
        False if matplotlib is not installed; nothing is written then.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    rows = document["rows"]
    lanes = sorted({row["lanes"] for row in rows})
    most = max(row["stages"] for row in rows)
    for kind, style in _STYLES.items():
        for index, n in enumerate(lanes):
            own = [row for row in rows if row["case"] == kind and row["lanes"] == n]
            if not own:
                continue
            xs, ys = [r["stages"] for r in own], [r["speed_up"] for r in own]
            if kind in ("sequential", "round-robin"):  # one value: a level to compare with
                xs, ys = [1, most], ys * 2
            axes.plot(xs, ys, style, marker="o", color=f"C{index}", label=f"{kind}, {n} lane(s)")
    axes.set_xlabel("stages K")
    axes.set_ylabel("speed-up over sequential on one lane")
    axes.set_title(f"{document['model']} on {document['machine']['cpu']}", fontsize=9)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside right upper")
    save_figure(figure, path, dpi=120)
    return True
