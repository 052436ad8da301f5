"""Pictures of the comparison: two panes, how old what they show is, a timeline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet.cli._demo.clock import Moment
from pvnet.cli._demo.side import Side
from pvnet.video import Frame
from pvnet.viz import draw_text, text_size
from pvnet.viz.shapes import draw_rectangle

Colour = tuple[int, int, int]

_BACKGROUND = (20, 23, 29)
_TRACK = (44, 49, 58)
_INK = (236, 239, 244)
_FAINT = (150, 158, 170)
_COLOURS = ((255, 148, 46), (86, 204, 140))  # sequential, depth-parallel
_ROWS = ("sequential", "depth-parallel")
_OLD = (236, 96, 96)
_BUSY = (84, 90, 102)
_DARK = (12, 14, 18)
_SMALLEST_SIDE = 360
_GAP = 12
_WINDOW_FRAMES = 12
_USUAL = 90  # percentile
# Pixels of a pane in which the lines, and the title, fit at the next size.
_WIDE, _WIDER = 440, 540
_LINE = 11  # pixels per line of text at scale 1


def fitted(image: NDArray[np.uint8], smallest: int = _SMALLEST_SIDE) -> NDArray[np.uint8]:
    """A picture whose smaller side is about `smallest`: pixels repeated, or blocks averaged."""
    h, w = image.shape[:2]
    down = min(h, w) // smallest
    if down >= 2:
        blocks = image[: h // down * down, : w // down * down].reshape(
            h // down, down, w // down, down, 3
        )
        return np.asarray(blocks.mean(axis=(1, 3)), np.uint8)
    up = max(1, -(-smallest // min(h, w)))
    return np.asarray(np.repeat(np.repeat(image, up, axis=0), up, axis=1), np.uint8)


class ComparePicture:
    """Draws the moments.

    Args:
        frames: of the video; `original`, where there is one, is shown.
        sides: sequential and depth-parallel, after their run.
        rate_hz: at which frames arrive.
        footer: line under everything: how the times came about.
    """

    def __init__(
        self, frames: Sequence[Frame], sides: Sequence[Side], rate_hz: float, footer: str
    ) -> None:
        self._frames = frames
        self._sides = sides
        self._rate_hz = rate_hz
        self._footer = footer
        first = fitted(_shown(frames[0]))
        self._pane = first.shape[:2]
        # Full bar: a result is on show until the next one exists, so it gets two ticks old.
        usual_ms = max(float(np.percentile(side.tick_ms, _USUAL)) for side in sides)
        self._oldest_ms = 2 * max(usual_ms, 1e3 / rate_hz)
        self._small = 2 if first.shape[1] >= _WIDE else 1
        self._big = 3 if first.shape[1] >= _WIDER else 2

    def draw(self, moment: Moment) -> NDArray[np.uint8]:
        """The picture of a moment, uint8 [h, w, 3]; all of the same size."""
        columns = [
            self._column(side, moment, colour) for side, colour in zip(self._sides, _COLOURS)
        ]
        gap = np.full((columns[0].shape[0], _GAP, 3), _BACKGROUND, np.uint8)
        panes = np.concatenate([gap, columns[0], gap, columns[1], gap], axis=1)
        return np.concatenate([panes, self._timeline(moment, panes.shape[1])], axis=0)

    def _column(self, side: Side, moment: Moment, colour: Colour) -> NDArray[np.uint8]:
        """Title, pane, and the age of what is on it."""
        line = _LINE * self._small
        height, width = self._pane
        top = 8 + _LINE * self._big + 2 * line + 2
        below = top + height + 8
        out = np.full((below + _LINE * self._big + 3 * line + 12, width, 3), _BACKGROUND, np.uint8)
        _write(out, side.title, 0, 8, self._big, colour)
        for row, words in enumerate(self._facts(side)):
            _write(out, words, 0, 8 + _LINE * self._big + row * line, self._small, _FAINT)
        index = side.shown(moment)
        frame = self._frames[moment.frame]
        pane = fitted(_shown(frame))
        if index is not None:
            side.mark(pane, self._frames, moment, index)
        out[top : top + height] = pane
        self._age(out[below:], side, moment, colour)
        return out

    def _facts(self, side: Side) -> tuple[str, str]:
        graph = side.plan.graph
        lanes = f"{side.lanes} lane" + ("s" if side.lanes > 1 else "")
        if side.lanes_simulated is not None:
            lanes = f"SIMULATED {lanes}"
        ms = float(np.median(side.tick_ms))
        latency = f"information latency {graph.outputs[0].information_latency_ticks}"
        if graph.wiring == "sequential":
            return f"{lanes}, {ms:.3g} ms a frame", latency
        return f"{lanes}, {ms:.3g} ms a tick", f"{graph.n_stages} stages, {latency}"

    def _age(self, out: NDArray[np.uint8], side: Side, moment: Moment, colour: Colour) -> None:
        """Age of what is on show in numbers and as a bar, frame counters; from the top of out."""
        line = _LINE * self._small
        index = side.shown(moment)
        bar = (_LINE * self._big, _LINE * self._big + line - 2)
        draw_rectangle(out, 0, bar[0], out.shape[1] - 1, bar[1], color=_TRACK)
        on_show = "nothing yet"
        if index is None:
            _write(out, "warming up", 0, 0, self._big, _FAINT)
        else:
            frame = side.newest_frame(index)
            behind, age_ms = moment.frame - frame, side.age_ms(moment, index, self._rate_hz)
            late = _OLD if behind > 1 else colour
            ticks = "1 tick" if behind == 1 else f"{behind} ticks"
            _write(out, f"age {ticks}, {age_ms:.1f} ms", 0, 0, self._big, late)
            length = min(1.0, age_ms / self._oldest_ms) * (out.shape[1] - 1)
            draw_rectangle(out, 0, bar[0], length, bar[1], color=late)
            on_show = f"frame {frame}"
        begun = [r for r in side.results if r.begin_s <= moment.now_s]
        missed = (begun[-1].frame + 1 if begun else 0) - len(begun)
        lines = (
            f"newest: frame {moment.frame}, on show: {on_show}",
            f"taken {len(begun)}, missed {missed}",
        )
        for row, words in enumerate(lines):
            _write(out, words, 0, bar[1] + 6 + row * line, self._small, _INK)

    def _timeline(self, moment: Moment, width: int) -> NDArray[np.uint8]:
        """The last frames that came, and what each network worked on meanwhile."""
        s, line = self._small, _LINE * self._small
        row = line + 8
        out = np.full((4 * row + 2 * line, width, 3), _BACKGROUND, np.uint8)
        left = _GAP + text_size("depth-parallel ", scale=s)[1]
        window_s = _WINDOW_FRAMES / self._rate_hz
        begin_s = moment.now_s - window_s

        def x_of(time_s: float) -> float:
            inside_s = min(max(time_s, begin_s), moment.now_s) - begin_s
            return left + inside_s / window_s * (width - left - _GAP)

        _write(out, "frames", _GAP, 4, s, _FAINT)
        for i in range(max(0, moment.frame - _WINDOW_FRAMES), moment.frame + 1):
            x = x_of(i / self._rate_hz)
            if i / self._rate_hz >= begin_s:
                draw_rectangle(out, x, 2, x + 1, 3 * row, color=_TRACK)
                _write(out, str(i), int(x) + 4, 4, s, _FAINT)
        for number, (side, colour) in enumerate(zip(self._sides, _COLOURS), start=1):
            _write(out, _ROWS[number - 1], _GAP, number * row + 4, s, colour)
            for result in side.results:
                if result.end_s > begin_s and result.begin_s < moment.now_s:
                    ends = (x_of(result.begin_s) + 1, x_of(result.end_s) - 1)
                    done = result.end_s <= moment.now_s
                    self._bar(out, str(result.frame), ends, number * row, colour if done else None)
        _write(out, f"t = {1e3 * moment.now_s:.1f} ms", _GAP, 3 * row + 4, s, _INK)
        for i, words in enumerate(_wrapped(self._footer, (width - 2 * _GAP) // (6 * s))[:2]):
            _write(out, words, _GAP, 3 * row + 4 + (i + 1) * (line + 2), s, _FAINT)
        return out

    def _bar(
        self,
        out: NDArray[np.uint8],
        text: str,
        ends: tuple[float, float],
        y: float,
        colour: Colour | None,
    ) -> None:
        """A computation from x to x with the number of its frame; colour None: not done yet."""
        s = self._small
        box = (ends[0], y + 1, max(ends[1], ends[0] + 1), y + _LINE * s + 5)
        draw_rectangle(out, *box, color=colour or _BUSY)
        if text_size(text, scale=s)[1] + 6 < ends[1] - ends[0]:
            _write(out, text, int(ends[0]) + 4, int(y) + 4, s, _DARK if colour else _INK)


def _write(
    out: NDArray[np.uint8], text: str, x: int, y: int, scale: int, colour: Colour
) -> None:
    draw_text(out, text, at=(x, y), scale=scale, color=colour, shadow=0.0)


def _shown(frame: Frame) -> NDArray[np.uint8]:
    return frame.image if frame.original is None else frame.original


def _wrapped(text: str, columns: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
