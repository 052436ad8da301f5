"""The picture of the README: what ticks do to the frames of a video, as SVG.

Stages, ticks and frames come from the graphs, the figures from the synthetic video. The same
program gives the same bytes.
"""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvnet.files import write_whole
from pvnet.graph.timeline import cells
from pvnet.video import synthetic
from pvnet.video.joints import SKELETON

if TYPE_CHECKING:
    import pvnet

TICKS = 12
LEFT, TOP, CELL, ROW, GAP = 84, 22, 68, 52, 5
PANEL = 72  # above the cells of a panel: its title and its ticks
ANSWERS = 76  # below them
INK, GREY, PALE = "#1f2937", "#6b7280", "#f3f4f6"
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def draw_idea(path: Path, sequential: pvnet.Graph, parallel: pvnet.Graph) -> None:
    """Draws both wirings of one network over the same time.

    A stage takes one unit of time. Sequential: the stages of a tick run one after another.
    Parallel: those of a tick run at the same time.

    Args:
        path: the SVG file.
        sequential: the network, every delay 0.
        parallel: the same stages, wired depth-parallel.
    """
    k = parallel.n_stages
    one_by_one = [
        (tick * k + stage, stage, cell.frame)
        for stage, row in enumerate(cells(sequential, ticks=TICKS // k))
        for tick, cell in enumerate(row)
    ]
    at_once = [
        (tick, stage, cell.frame)
        for stage, row in enumerate(cells(parallel, ticks=TICKS))
        for tick, cell in enumerate(row)
    ]
    height = PANEL + k * ROW + ANSWERS
    parts = _panel(
        TOP,
        one_by_one,
        stages=k,
        width=k,
        title="Sequential",
        text="A tick takes one frame through every stage. The other stages wait.",
    )
    parts += _panel(
        TOP + height,
        at_once,
        stages=k,
        width=1,
        title="Depth-parallel",
        text="A tick runs every stage at once, each on a frame of its own.",
    )
    right, bottom = LEFT + TICKS * CELL + 20, TOP + 2 * height + 16
    parts += [_time(bottom - 28)]
    title = "Sequential: one stage is busy at a time. Depth-parallel: all stages are busy."
    page = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}" '
        f'width="{right}" height="{bottom}" font-family="{FONT}" role="img">',
        f"<title>{title}</title>",
        "<defs>",
        *(f'<g id="frame{frame}">{pose}</g>' for frame, pose in enumerate(_poses(TICKS))),
        "</defs>",
        f'<rect width="{right}" height="{bottom}" rx="12" fill="#ffffff"/>',
        *parts,
        "</svg>",
    ]
    write_whole(path, "\n".join(page) + "\n")


def _panel(
    top: int,
    blocks: list[tuple[int, int, int | None]],
    *,
    stages: int,
    width: int,
    title: str,
    text: str,
) -> list[str]:
    """Title, ticks of `width` units, the blocks (unit, stage, frame), and the answers below."""
    body = top + PANEL
    right = LEFT + TICKS * CELL - GAP
    answers = [(unit, frame) for unit, stage, frame in blocks if stage == stages - 1]
    made = [(unit, frame) for unit, frame in answers if frame is not None]
    parts = [
        f'<text x="{LEFT}" y="{top + 18}" font-size="18" fill="{INK}">'
        f'<tspan font-weight="bold">{title}.</tspan>'
        f'<tspan dx="8" fill="{GREY}" font-size="16">{text}</tspan></text>',
        f'<text x="{right}" y="{top + 18}" font-size="18" font-weight="bold" fill="{INK}" '
        f'text-anchor="end">{len(made)} answers</text>',
    ]
    for tick in range(TICKS // width):
        begin, end = LEFT + tick * width * CELL, LEFT + (tick + 1) * width * CELL - GAP
        parts += [
            f'<path d="M{begin} {body - 6}v-8h{end - begin}v8" fill="none" stroke="{GREY}"/>',
            _label((begin + end) // 2, body - 20, f"tick {tick}", anchor="middle"),
        ]
    busy = {(unit, stage): frame for unit, stage, frame in blocks}
    for stage in range(stages):
        middle = body + stage * ROW + ROW // 2
        parts.append(_label(LEFT - 12, middle + 5, f"stage {stage}", anchor="end"))
        for unit in range(TICKS):
            x, y = LEFT + unit * CELL, body + stage * ROW
            parts.append(_cell(x, y, busy.get((unit, stage))))
    below = body + stages * ROW
    parts.append(_label(LEFT - 12, below + 31, "answer", anchor="end"))
    for unit, frame in made:
        x = LEFT + unit * CELL + (CELL - GAP) // 2
        parts += [
            f'<path d="M{x} {below - GAP + 3}v8m-4 -4l4 4l4 -4" fill="none" stroke="{INK}" '
            'stroke-width="1.5"/>',
            f'<circle cx="{x}" cy="{below + 25}" r="14" fill="{_colour(frame)}" stroke="{INK}"/>',
            f'<text x="{x}" y="{below + 30}" font-size="14" font-weight="bold" fill="{INK}" '
            f'text-anchor="middle">{frame}</text>',
        ]
    return parts


def _cell(x: int, y: int, frame: int | None) -> str:
    """A stage in one unit of time: the frame that it works on, or nothing."""
    size = f'width="{CELL - GAP}" height="{ROW - GAP}" rx="5"'
    if frame is None:
        return f'<rect x="{x}" y="{y}" {size} fill="{PALE}"/>'
    return (
        f'<g transform="translate({x} {y})"><rect {size} fill="{_colour(frame)}"/>'
        f'<text x="6" y="17" font-size="14" font-weight="bold" fill="{INK}">{frame}</text>'
        f'<use href="#frame{frame}"/></g>'
    )


def _label(x: int, y: int, text: str, *, anchor: str) -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text {place} font-size="14" fill="{GREY}">{text}</text>'


def _time(y: int) -> str:
    end = LEFT + TICKS * CELL - GAP
    arrow = f'<path d="M{LEFT} {y}H{end}m-7 -4l7 4l-7 4" fill="none" stroke="{GREY}"/>'
    return arrow + _label(LEFT - 12, y + 5, "time", anchor="end")


def _colour(frame: int) -> str:
    """From blue over violet to orange, as time goes by."""
    hue = (0.53 + 0.62 * frame / (TICKS - 1)) % 1
    return "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hls_to_rgb(hue, 0.8, 0.75))


def _poses(count: int) -> list[str]:
    """A walking figure, one pose a frame, in a cell's coordinates."""
    _, joints, _, _ = synthetic.clip(1, 3 * count, 128, 96, action="walk_right")
    joints = joints[::3]
    top, bottom = joints[:, :, 1].min(), joints[:, :, 1].max()
    scale = (ROW - GAP - 11) / (bottom - top)
    poses = []
    for pose in joints:
        middle = (pose[:, 0].min() + pose[:, 0].max()) / 2
        x = (CELL - GAP) / 2 + 5 + (pose[:, 0] - middle) * scale
        y = 7.5 + (pose[:, 1] - top) * scale
        at = [f"{a:.1f} {b:.1f}" for a, b in np.stack([x, y], axis=1)]
        neck = f"M{at[0]}L{(x[1] + x[2]) / 2:.1f} {(y[1] + y[2]) / 2:.1f}"
        lines = neck + "".join(f"M{at[a]}L{at[b]}" for a, b in SKELETON)
        poses.append(
            f'<path d="{lines}" fill="none" stroke="{INK}" stroke-width="2.4" '
            f'stroke-linecap="round"/><circle cx="{x[0]:.1f}" cy="{y[0]:.1f}" r="4" fill="{INK}"/>'
        )
    return poses
