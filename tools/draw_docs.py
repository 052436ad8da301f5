"""Draws the pictures of the README and of docs/: `python tools/draw_docs.py [FOLDER]`.

The pictures come from the graphs themselves (`pvnet.graph.draw`), so they show what the program
does. The same graphs give the same bytes with the same matplotlib.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pvnet
from pvnet.files import save_figure
from pvnet.graph.draw import timeline
from pvnet.graph.timeline import cells

sys.path.insert(0, str(Path(__file__).parent))  # also where Python is told to leave it out
from draw_idea import draw_idea

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
STAGES = [["frame", "stem"], ["early"], ["late"], ["head", "logits"]]
SKIP_STAGES = [["frame", "stem"], ["early"], ["late"], ["both", "head", "logits"]]
CLOCK_STAGES = [["frame", "fast"], ["half"], ["quarter"], ["both", "logits"]]
DPI = 110


def chain(*, skip: bool = False) -> pvnet.Graph:
    """Four layers in a row; with `skip`, the last one also reads the first."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=32, width=32)
    stem = g.conv3d(x, 16, kernel=(1, 3, 3), stride=(1, 2, 2), act="relu", name="stem")
    x = g.conv3d(stem, 16, kernel=(3, 3, 3), act="relu", name="early")
    x = g.conv3d(x, 16, kernel=(1, 3, 3), act="relu", name="late")
    if skip:
        x = g.concat([x, stem], name="both")
    x = g.conv3d(x, 16, kernel=(1, 3, 3), act="relu", name="head")
    g.output(g.linear(x, 10, name="logits"), name="logits")
    return g


def clocked() -> pvnet.Graph:
    """Each layer at half the rate of the one before; the last reads slow and fast values."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=32, width=32)
    fast = g.conv3d(x, 16, kernel=(1, 3, 3), stride=(1, 2, 2), act="relu", name="fast")
    x = g.conv3d(fast, 16, kernel=(2, 3, 3), stride=(2, 1, 1), act="relu", name="half")
    x = g.conv3d(x, 16, kernel=(2, 3, 3), stride=(2, 1, 1), act="relu", name="quarter")
    x = g.concat([x, fast], name="both")
    g.output(g.linear(x, 10, name="logits"), name="logits")
    return g


def draw_time(path: Path, *, frames: int = 5) -> None:
    """When which stage works on which frame, by the clock on the wall: sequential, then pipelined.

    A stage takes one unit of time. Sequential: the stages of a tick run one after another.
    Pipelined: those of a tick run at the same time, each on a lane of its own.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    k = len(STAGES)
    until = frames * k
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    graph = chain()
    sequential = cells(graph.wire("sequential", STAGES), ticks=frames)
    pipelined = cells(graph.wire("pipelined", STAGES), ticks=until)
    for stage in range(k):
        for tick, cell in enumerate(sequential[stage]):
            _block(upper, tick * k + stage, stage, cell.frame)
        for tick, cell in enumerate(pipelined[stage]):
            _block(lower, tick, stage, cell.frame)
    titles = (
        f"sequential: a tick takes as long as all stages, {frames} frames in {until} units",
        f"pipelined: a tick takes as long as one stage, {until - k + 1} frames in {until} units",
    )
    for axes, title, width in ((upper, titles[0], k), (lower, titles[1], 1)):
        axes.set(
            xlim=(0, until),
            ylim=(k - 0.5, -0.5),
            yticks=range(k),
            yticklabels=[f"stage {s}" for s in range(k)],
        )
        axes.set_title(title, fontsize=10, loc="left")
        for x in range(0, until + 1, width):
            axes.axvline(x, color="dimgrey", linewidth=1.2 if width > 1 else 0.5, zorder=0)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    lower.set_xticks(range(0, until + 1, k))
    lower.set_xlabel("wall time, in units of one stage (vertical lines: ticks)")
    save_figure(figure, path, dpi=DPI)


def _block(axes: Axes, begin: int, stage: int, frame: int | None) -> None:
    import matplotlib
    from matplotlib.patches import Rectangle

    if frame is None:
        return
    colours = matplotlib.colormaps["Set3"]
    face = colours(frame % colours.N)
    axes.add_patch(
        Rectangle(
            (begin + 0.04, stage - 0.42), 0.92, 0.84, facecolor=face, edgecolor="dimgrey", lw=0.6
        )
    )
    axes.text(begin + 0.5, stage, str(frame), ha="center", va="center", fontsize=9)


def seen(graph: pvnet.Graph, tick: int) -> set[tuple[str, int]]:
    """(node, tick) of every firing that the first output of `tick` depends on."""
    nodes = {n.name: n for n in graph.nodes}
    first = graph.outputs[0]
    found: set[tuple[str, int]] = set()
    waiting = [(first.node, tick - first.delay)]
    while waiting:
        name, at = waiting.pop()
        node = nodes[name]
        if at < node.clock.origin:
            continue
        fired = node.clock.origin + node.clock.firing_at(at) * node.clock.period
        if (name, fired) in found:
            continue
        found.add((name, fired))
        taps = node.attrs.get("kernel", [1, 1, 1])[0]
        for edge in node.inputs:
            step = nodes[edge.node].clock.period
            waiting += [(edge.node, fired - edge.delay - i * step) for i in range(taps)]
    return found


def draw_seen(path: Path, *, tick: int = 9) -> None:
    """What the output of one tick depends on: frames, and the work of which stage in which tick."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    graphs = {
        "sequential": chain().wire("sequential", STAGES),
        "pipelined: the same frames, 3 ticks later": chain().wire("pipelined", STAGES),
        "predictive with a fresh skip": chain(skip=True).wire("predictive", SKIP_STAGES),
    }
    figure = Figure(figsize=(11, 2.9), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, graph) in zip(
        figure.subplots(1, 3, sharey=True), graphs.items(), strict=True
    ):
        stage = {n.name: -1 if n.op == "input" else n.stage for n in graph.nodes}
        used = {(stage[name], at) for name, at in seen(graph, tick)}
        for row in range(-1, graph.n_stages):
            for at in range(tick + 1):
                hit = (row, at) in used
                face = ("orange" if row < 0 else "lightskyblue") if hit else "white"
                axes.add_patch(
                    Rectangle(
                        (at - 0.44, row - 0.4), 0.88, 0.8, facecolor=face, edgecolor="lightgrey"
                    )
                )
        axes.set(
            xlim=(-0.5, tick + 0.5),
            ylim=(-1.5, graph.n_stages - 0.5),
            xticks=range(tick + 1),
            yticks=range(-1, graph.n_stages),
            yticklabels=["frame", *(f"stage {s}" for s in range(graph.n_stages))],
            xlabel="tick",
        )
        axes.set_title(title, fontsize=10, loc="left")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    save_figure(figure, path, dpi=DPI)


def draw_all(folder: Path) -> list[Path]:
    """Draws every picture.

    Args:
        folder: where to; it is made if it is missing.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sequential, pipelined = (chain().wire(wiring, STAGES) for wiring in ("sequential", "pipelined"))
    draw_idea(folder / "idea.svg", sequential, pipelined)
    draw_time(folder / "wall_time.png")
    draw_seen(folder / "seen.png")
    graphs: dict[str, Any] = {
        "pipelined": pipelined,
        "fresh_skip": chain(skip=True).wire("predictive", SKIP_STAGES),
        "clocks": clocked().wire("predictive", CLOCK_STAGES),
    }
    for name, graph in graphs.items():
        save_figure(timeline(graph), folder / f"{name}.png", dpi=DPI)
    return sorted([*folder.glob("*.png"), *folder.glob("*.svg")])


def main() -> None:
    """Draws into the folder of the command line, or into docs/pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=PICTURES)
    for path in draw_all(parser.parse_args().folder):
        print(f"{path} {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
