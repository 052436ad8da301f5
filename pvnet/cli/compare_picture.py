"""The pictures of the comparison: two panes, what is on show in each and how old it is, a timeline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet.cli.compare_clock import Moment, Result
from pvnet.cli.compare_side import Side
from pvnet.video import Frame
from pvnet.video.raster import draw_rectangle
from pvnet.viz import draw_text, text_size

_BACKGROUND = (20, 23, 29)
_TRACK = (44, 49, 58)
_INK = (236, 239, 244)
_FAINT = (150, 158, 170)
_COLOURS = ((255, 148, 46), (86, 204, 140))  # sequential, depth-parallel
_OLD = (226, 84, 84)
_SMALLEST_SIDE = 360
_GAP = 12
_WINDOW_FRAMES = 12
_BIG = 2
_LINE = 11  # pixels per line of text at scale 1


def fitted(image: NDArray[np.uint8], smallest: int = _SMALLEST_SIDE) -> NDArray[np.uint8]:
    """A picture whose smaller side is about `smallest`: pixels repeated, or blocks averaged."""
    h, w = image.shape[:2]
    down = min(h, w) // smallest
    if down >= 2:
        blocks = image[: h // down * down, : w // down * down].reshape(
            h // down, down, w // down, down, 3
        )
        return blocks.mean(axis=(1, 3)).astype(np.uint8)
    up = max(1, -(-smallest // min(h, w)))
    return np.repeat(np.repeat(image, up, axis=0), up, axis=1)


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
        # A result stays on show until the next exists: until then it ages by the next one's tick.
        longest_s = max((r.end_s - r.begin_s for s in sides for r in s.results), default=0.0)
        self._oldest_ms = 2e3 * max(longest_s, 1 / rate_hz)
        self._small = 2 if first.shape[1] >= 480 else 1

    def draw(self, moment: Moment) -> NDArray[np.uint8]:
        """The picture of a moment, uint8 [h, w, 3]; all of the same size."""
        columns = [
            self._column(side, moment, colour) for side, colour in zip(self._sides, _COLOURS)
        ]
        gap = np.full((columns[0].shape[0], _GAP, 3), _BACKGROUND, np.uint8)
        panes = np.concatenate([gap, columns[0], gap, columns[1], gap], axis=1)
        return np.concatenate([panes, self._timeline(moment, panes.shape[1])], axis=0)

    def _column(
        self, side: Side, moment: Moment, colour: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Title, pane, and the age of what is on it."""
        s, line = self._small, _LINE * self._small
        top = 8 + _LINE * _BIG + 2 * line
        height, width = self._pane
        out = np.full((top + height + 8 + 3 * line + 8, width, 3), _BACKGROUND, np.uint8)
        draw_text(out, side.title, at=(0, 8), scale=_BIG, color=colour, shadow=0.0)
        for row, words in enumerate(self._facts(side)):
            y = 8 + _LINE * _BIG + row * line
            draw_text(out, words, at=(0, y), scale=s, color=_FAINT, shadow=0.0)
        index = side.shown(moment)
        frame = self._frames[moment.frame]
        pane = fitted(_shown(frame))
        if index is not None:
            side.overlay.mark(pane, frame, side.outputs[index])
        out[top : top + height] = pane
        self._age(out, side, moment, colour, top + height + 8)
        return out

    def _facts(self, side: Side) -> tuple[str, str]:
        graph = side.plan.graph
        name = "stage" if graph.n_stages == 1 else "stages"
        lanes = f"{side.lanes} lane" + ("s" if side.lanes > 1 else "")
        if side.lanes_simulated is not None:
            lanes = f"SIMULATED {lanes}"
        ms = float(np.median(side.tick_ms))
        if graph.wiring == "sequential":
            return f"{lanes}, {ms:.2f} ms a frame", "information latency 0"
        latency = graph.outputs[0].information_latency_ticks
        return (
            f"{lanes}, {ms:.2f} ms a tick",
            f"{graph.wiring}, {graph.n_stages} {name}, information latency {latency}",
        )

    def _age(
        self,
        out: NDArray[np.uint8],
        side: Side,
        moment: Moment,
        colour: tuple[int, int, int],
        y: int,
    ) -> None:
        """Frame counters, and the age of what is on show as a bar and in numbers."""
        s, line = self._small, _LINE * self._small
        width = out.shape[1]
        index = side.shown(moment)
        begun = [r for r in side.results if r.begin_s <= moment.now_s]
        taken = len(begun)
        skipped = (begun[-1].frame + 1 if begun else 0) - taken
        draw_text(
            out, f"frame {moment.frame}: taken {taken}, skipped {skipped}", at=(0, y), scale=s,
            color=_INK, shadow=0.0,
        )  # fmt: skip
        if index is None:
            draw_text(
                out, "on show: nothing yet", at=(0, y + line), scale=s, color=_FAINT, shadow=0.0
            )
            draw_rectangle(out, 0, y + 2 * line + 2, width - 1, y + 3 * line, color=_TRACK)
            return
        behind = moment.frame - side.results[index].frame
        age_ms = side.age_ms(moment, index, self._rate_hz)
        ticks = "1 tick" if behind == 1 else f"{behind} ticks"
        words = f"on show: frame {side.results[index].frame}, age {ticks}, {age_ms:.1f} ms"
        draw_text(out, words, at=(0, y + line), scale=s, color=_INK, shadow=0.0)
        length = min(1.0, age_ms / self._oldest_ms) * (width - 1)
        box = (y + 2 * line + 2, y + 3 * line)
        draw_rectangle(out, 0, box[0], width - 1, box[1], color=_TRACK)
        draw_rectangle(out, 0, box[0], length, box[1], color=_OLD if behind > 1 else colour)

    def _timeline(self, moment: Moment, width: int) -> NDArray[np.uint8]:
        """The last frames that came, and what each network worked on meanwhile."""
        s, line = self._small, _LINE * self._small
        row = line + 8
        out = np.full((4 * row + 2 * line, width, 3), _BACKGROUND, np.uint8)
        left = _GAP + text_size("depth-parallel ", scale=s)[1]
        window_s = _WINDOW_FRAMES / self._rate_hz
        begin_s = moment.now_s - window_s
        per_s = (width - left - _GAP) / window_s

        def x_of(time_s: float) -> float:
            return left + (min(max(time_s, begin_s), moment.now_s) - begin_s) * per_s

        def label(text: str, y: int, colour: tuple[int, int, int]) -> None:
            draw_text(out, text, at=(_GAP, y), scale=s, color=colour, shadow=0.0)

        label("frames", 4, _FAINT)
        for i in range(max(0, moment.frame - _WINDOW_FRAMES), moment.frame + 1):
            x = x_of(i / self._rate_hz)
            if i / self._rate_hz >= begin_s:
                draw_rectangle(out, x, 2, x + 1, 3 * row, color=_TRACK)
                draw_text(out, str(i), at=(int(x) + 4, 4), scale=s, color=_FAINT, shadow=0.0)
        for number, (side, colour) in enumerate(zip(self._sides, _COLOURS)):
            y = (number + 1) * row
            label(("sequential", "depth-parallel")[number], y + 4, colour)
            for result in side.results:
                if result.end_s > begin_s and result.begin_s < moment.now_s:
                    self._bar(out, result, moment, colour, (x_of, y + 1, y + row - 3))
        draw_text(
            out, f"t = {1e3 * moment.now_s:.1f} ms", at=(_GAP, 3 * row + 4), scale=s, color=_INK,
            shadow=0.0,
        )  # fmt: skip
        for i, words in enumerate(_wrapped(self._footer, (width - 2 * _GAP) // (6 * s))[:2]):
            y = 3 * row + 4 + (i + 1) * (line + 2)
            draw_text(out, words, at=(_GAP, y), scale=s, color=_FAINT, shadow=0.0)
        return out

    def _bar(
        self,
        out: NDArray[np.uint8],
        result: Result,
        moment: Moment,
        colour: tuple[int, int, int],
        place: tuple,
    ) -> None:
        x_of, top, bottom = place
        x0, x1 = x_of(result.begin_s) + 1, x_of(result.end_s) - 1
        done = result.end_s <= moment.now_s
        draw_rectangle(out, x0, top, max(x1, x0 + 1), bottom, color=colour, opacity=0.9 if done else 0.4)
        text = str(result.frame)
        if text_size(text, scale=self._small)[1] + 6 < x1 - x0:
            draw_text(out, text, at=(int(x0) + 4, top + 3), scale=self._small, color=(12, 14, 18), shadow=0.0)


def _shown(frame: Frame) -> NDArray[np.uint8]:
    return frame.image if frame.original is None else frame.original


def _wrapped(text: str, columns: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
