"""Drawings of a graph's timing: the stage-by-tick table as text and as a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvnet.distribution import install
from pvnet.errors import MissingPackageError
from pvnet.files import save_figure
from pvnet.graph.arguments import refuse
from pvnet.graph.timeline import Cell, cells, fresh_skips

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pvnet.graph.graph import Graph

FORMATS = (".svg", ".png", ".pdf")


def timeline_text(graph: Graph, *, ticks: int | None = None) -> str:
    """The timeline as text: one row per stage, one column per tick.

    A number is the frame a stage works on, a number in parentheses one whose value it holds, a dot
    means that no frame has come that far.

    Args:
        graph: a complete graph.
        ticks: columns; None = 12.
    """
    table = cells(graph, ticks=ticks)
    rows = [["tick", *(str(t) for t in range(len(table[0])))]]
    rows += [[f"stage {s}", *(_text(c) for c in row)] for s, row in enumerate(table)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    lines.append("3: works on frame 3   (3): holds the value of frame 3   .: no frame yet")
    lines += [
        f"fresh skip: stage {s.source} -> stage {s.target}, delay {s.delay_ticks} "
        f"(aligned would be {s.target - s.source})"
        for s in fresh_skips(graph)
    ]
    return "\n".join(lines)


def _text(cell: Cell) -> str:
    if cell.frame is None:
        return "."
    return str(cell.frame) if cell.due else f"({cell.frame})"


def timeline(
    graph: Graph, path: str | os.PathLike[str] | None = None, *, ticks: int | None = None
) -> Figure:
    """The timeline as a picture: every frame has a colour, held cells are hatched.

    Arrows are fresh skips: from the cell whose value is read to the cell that reads it, where the
    frame that comes with it is noted ("+2").

    Args:
        graph: a complete graph.
        path: where to write it (.svg, .png or .pdf); None = nowhere.
        ticks: columns; None = 12.

    Returns:
        A matplotlib figure.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InvalidArgumentError: another file format, or ticks out of range.
    """
    table = cells(graph, ticks=ticks)
    columns = len(table[0])
    size = (1.5 + 0.55 * columns, 1.2 + 0.5 * len(table))
    matplotlib, figure, axes = canvas("draw.timeline", path, size)
    colours = matplotlib.colormaps["Set3"]  # pale: black numbers stay readable
    for stage, row in enumerate(table):
        for tick, cell in enumerate(row):
            _draw_cell(axes, stage, tick, cell, colours)
    _draw_skips(axes, graph, table)
    axes.set(
        xlim=(-0.5, columns - 0.5),
        ylim=(len(table) - 0.5, -0.5),
        xlabel="tick",
        xticks=range(columns),
        yticks=range(len(table)),
        yticklabels=[f"stage {s}" for s in range(len(table))],
    )
    axes.set_title(_title(graph, table), fontsize=10, loc="left")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    save(matplotlib, figure, path)
    return figure


def canvas(
    where: str, path: str | os.PathLike[str] | None, size: tuple[float, float]
) -> tuple[Any, Figure, Any]:
    """matplotlib, an empty figure and its axes.

    Args:
        where: begins the message of an error.
        path: where the figure will be written; None = nowhere.
        size: (width, height) in inches.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InvalidArgumentError: another file format.
    """
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise refuse(
            where,
            "the file format is not known",
            str(path),
            ", ".join(FORMATS),
            "Change the ending of the file.",
        )
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError(
            f"[{where}] matplotlib is missing: got no module, expected matplotlib >= 3.8. "
            f"Run {install('viz')}.",
            name="matplotlib",
        ) from error
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return matplotlib, figure, figure.add_subplot()


def save(matplotlib: Any, figure: Figure, path: str | os.PathLike[str] | None) -> None:
    """Write a figure; None = nowhere."""
    if path is not None:
        # No date in the file: the same graph gives the same bytes.
        keep = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        with matplotlib.rc_context({"svg.hashsalt": "pvnet", "svg.fonttype": "none"}):
            save_figure(figure, path, metadata=keep)


def _title(graph: Graph, table: list[list[Cell]]) -> str:
    notes = []
    if any(not cell.due and cell.frame is not None for row in table for cell in row):
        notes.append("hatched: held")
    if fresh_skips(graph):
        notes.append("arrow: fresh skip")
    end = f" ({', '.join(notes)})" if notes else ""
    return f"{graph.wiring}: the frame every stage works on{end}"


def _draw_cell(axes: Any, stage: int, tick: int, cell: Cell, colours: Any) -> None:
    from matplotlib.patches import Rectangle

    empty = cell.frame is None
    face = "white" if empty else colours((cell.frame or 0) % colours.N)
    axes.add_patch(
        Rectangle(
            (tick - 0.46, stage - 0.42),
            0.92,
            0.84,
            facecolor=face,
            edgecolor="lightgrey" if empty else ("dimgrey" if cell.due else "darkgrey"),
            linewidth=0.6,
            alpha=1.0 if cell.due else 0.6,
            hatch=None if cell.due or empty else "////",
        )
    )
    if not empty:
        axes.text(tick, stage, str(cell.frame), ha="center", va="center", fontsize=9)


def _draw_skips(axes: Any, graph: Graph, table: list[list[Cell]]) -> None:
    notes: dict[tuple[int, int], list[str]] = {}
    for skip in fresh_skips(graph):
        for tick, cell in enumerate(table[skip.target]):
            begin = tick - skip.delay_ticks
            frame = table[skip.source][begin].frame if begin >= 0 else None
            if not cell.due or cell.frame is None or frame is None:
                continue
            axes.annotate(
                "",
                xy=(tick - 0.28, skip.target - 0.42),
                xytext=(begin + 0.28, skip.source + 0.42),
                arrowprops={"arrowstyle": "->", "color": "dimgrey", "linewidth": 0.8},
            )
            notes.setdefault((skip.target, tick), []).append(str(frame))
    for (stage, tick), frames in notes.items():
        if len(frames) == 1:  # of more there is no room for
            axes.text(tick + 0.42, stage + 0.36, f"+{frames[0]}", ha="right", fontsize=7)
