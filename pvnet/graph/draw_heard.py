"""Drawings of what every stage has heard of in a tick: as text and as a picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pvnet.graph.draw import canvas, save
from pvnet.graph.heard import Heard, heard, ways

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pvnet.graph.graph import Graph

_MOST_FRAMES = 40  # columns; older frames are told in text


def heard_text(graph: Graph, tick: int, *, stage: int | None = None) -> str:
    """What the value of every stage has heard of after a tick, a line a stage.

    Args:
        graph: a complete graph.
        tick: index of the tick.
        stage: add by which edges frames come into this one; None = of none.

    Raises:
        InvalidArgumentError: tick or stage is out of range.
    """
    lines = [f"{graph.wiring}, after tick {tick}:"]
    lines += [f"stage {s:<3} {one.words()}" for s, one in enumerate(heard(graph, tick))]
    if stage is not None:
        lines.append(f"stage {stage} reads:")
        for way in ways(graph, tick, stage):
            source = "the input" if way.source is None else f"stage {way.source}"
            lines.append(f"  {source}, delay {way.delay_ticks}: {way.heard.words()}")
    return "\n".join(lines)


def draw_heard(
    graph: Graph,
    path: str | os.PathLike[str] | None,
    tick: int,
    *,
    stage: int | None = None,
) -> Figure:
    """As a picture: a row a stage, a column a frame, in each cell the age of the frame in ticks.

    Args:
        graph: a complete graph.
        path: where to write it (.svg, .png or .pdf); None = nowhere.
        tick: index of the tick.
        stage: framed, and named in the title; None = none.

    Returns:
        A matplotlib figure.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InvalidArgumentError: another file format, or tick or stage out of range.
    """
    rows = heard(graph, tick)
    if stage is not None:
        ways(graph, tick, stage)  # refuses what is out of range
    oldest = min((one.frames[0] for one in rows if one.frames), default=tick)
    first = max(oldest, tick - _MOST_FRAMES + 1)
    columns = tick - first + 1
    size = (2.0 + 0.5 * max(columns, 6), 1.3 + 0.42 * len(rows))
    matplotlib, figure, axes = canvas("draw.heard", path, size)
    colours = matplotlib.colormaps["viridis_r"]
    for s, one in enumerate(rows):
        _draw_row(axes, s, one, first, colours, framed=s == stage)
    axes.set(
        xlim=(first - 0.5, tick + 0.5),
        ylim=(len(rows) - 0.4, -0.6),
        xlabel="frame",
        xticks=range(first, tick + 1),
        yticks=range(len(rows)),
        yticklabels=[f"stage {s}" for s in range(len(rows))],
    )
    axes.set_title(_title(graph, rows, tick, stage), fontsize=10, loc="left")
    axes.tick_params(length=0, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    save(matplotlib, figure, path)
    return figure


def _title(graph: Graph, rows: list[Heard], tick: int, stage: int | None) -> str:
    words = f"{graph.wiring}, after tick {tick}: frames heard of, and their age in ticks"
    return words if stage is None else f"{words}\nstage {stage}: {rows[stage].words()}"


def _draw_row(
    axes: Any, row: int, one: Heard, first: int, colours: Any, *, framed: bool
) -> None:
    from matplotlib.patches import Rectangle

    reach = max(one.tick - first, 1)
    for frame in range(first, one.tick + 1):
        known = frame in one.frames
        share = (one.tick - frame) / reach
        axes.add_patch(
            Rectangle(
                (frame - 0.45, row - 0.4),
                0.9,
                0.8,
                facecolor=colours(0.1 + 0.75 * share) if known else "whitesmoke",
                edgecolor="black" if framed and known else "none",
                linewidth=1.5,
            )
        )
        if known:
            ink = "white" if share > 0.4 else "black"
            text = str(one.tick - frame)
            axes.text(frame, row, text, ha="center", va="center", fontsize=8, color=ink)
