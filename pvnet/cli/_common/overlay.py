"""What a network says about a frame, drawn over it: joints, heatmaps or the top actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import viz
from pvnet.cli._common.network_choice import Choice
from pvnet.decode import Meaning
from pvnet.runtime import Plan, Tick
from pvnet.video import Frame
from pvnet.viz.part import Picture

# Pictures smaller than this are enlarged, so that lines and letters are readable.
_SMALLEST_SIDE = 240
_TOP = 3
_GAP_SHOWN_S = 3.0


class Overlay:
    """Draws the first output of a plan.

    Args:
        plan: compiled network.
        choice: where it came from.
    """

    def __init__(self, plan: Plan, choice: Choice) -> None:
        self.meaning = Meaning(choice.metadata, plan.inputs, plan.outputs)
        self.task = self.meaning.task
        self.labels = self.meaning.labels
        weights = ", random weights" if choice.random else ""
        wiring = f"{plan.graph.wiring} {len(plan.graph.stages)}"
        self._caption = f"{choice.name} {wiring}{weights}"
        self._gap = ("", 0.0)  # words, and until when they are shown

    def draw(self, frame: Frame, tick: Tick | None, later: int = 0) -> Picture:
        """The annotated picture, uint8 [h, w, 3] or planes: the original where the source kept it.

        Args:
            frame: to draw on.
            tick: whose answer it is; None: there is none.
            later: ticks between the one that took the frame and this one.
        """
        picture = _canvas(frame)
        if tick is None:
            viz.draw_label(picture, self._caption)
            viz.draw_status(picture, "no answer: the video ended before it")
            return picture
        if not bool(tick.valid[0]):
            status = f"tick {int(tick.tick[0])}  warming up"
        else:
            status = f"tick {int(tick.tick[0])}  {tick.latency_ms:.1f} ms"
            self._mark_answer(picture, frame, tick)
        if later:
            status += f"  answer {later} tick{'s' if later > 1 else ''} later"
        status += self._gap_words(frame, tick)
        if self.task == "actions":  # the bars are where the caption would be
            status += f"  {self._caption}"
        else:
            viz.draw_label(picture, self._caption)
        viz.draw_status(picture, status)
        return picture

    def _gap_words(self, frame: Frame, tick: Tick) -> str:
        """What a live source lost a moment ago."""
        if tick.gap is not None:
            words = f"  lost {tick.gap.seconds:.1f} s, {tick.gap.frames} frames"
            self._gap = (words, frame.time_s + _GAP_SHOWN_S)
        words, until_s = self._gap
        return words if frame.time_s < until_s else ""

    def _mark_answer(self, picture: Picture, frame: Frame, tick: Tick) -> None:
        """Draw a tick's answer over a frame. A tick reads its joints once, whoever asks."""
        mapping = frame.mapping if _is_whole(frame) else None
        same = mapping is not None and mapping == getattr(tick.frame, "mapping", None)
        if mapping is not None and same and self.meaning.has_joints:
            _draw_joints(picture, tick.joints[0], mapping.source_size)
        else:
            self.mark(picture, frame, self.meaning.seen(tick))

    def mark(self, picture: Picture, frame: Frame, kept: Any) -> None:
        """Draw an answer over a picture of the frame, of whatever size, in place.

        Args:
            picture: uint8 [h, w, 3] or planes, all of the frame's original (of its image without
                one).
            frame: says how the network's pixels map to the original's.
            kept: what `meaning.kept` gave, of this or of another frame of the video.
        """
        if self.task == "actions":
            viz.draw_actions(picture, self.labels, self.meaning.probabilities(kept), top=_TOP)
        elif self.meaning.has_joints:
            height, width = frame.image.shape[:2]
            mapping = frame.mapping if _is_whole(frame) else None
            if mapping is not None:
                height, width = mapping.source_size
            _draw_joints(picture, self.meaning.joints(kept, mapping), (height, width))
        else:
            viz.draw_heatmaps(picture, sigmoid(self.meaning.first(kept)))

    def words(self, tick: Tick) -> str:
        """The output of a tick in a line of text."""
        if not bool(tick.valid[0]):
            return "none yet: the video ended before the warm-up"
        kept = self.meaning.kept(tick)
        if self.task == "actions":
            best = self.meaning.actions(kept, _TOP)
            return ", ".join(f"{name} {100 * p:.0f} %" for name, p in best)
        if self.meaning.has_joints:
            scores = self.meaning.joints(kept)[:, 2]
            if not scores.any():
                return "nobody"
            return f"{len(scores)} joints, mean confidence {float(scores.mean()):.2f}"
        output = self.meaning.first(kept)
        peaks = sigmoid(output.reshape(len(output), -1).max(axis=1))
        return f"{len(peaks)} heatmaps, mean peak {float(peaks.mean()):.2f}"


def _is_whole(frame: Frame) -> bool:
    """Whether the picture that is drawn on is that of the source."""
    return frame.original is not None or frame.planes is not None


def _draw_joints(picture: Picture, joints: NDArray[np.float32], size: tuple[int, int]) -> None:
    """Joints [13, 3] in pixels of a picture of `size` (h, w), over one of whatever size."""
    scale = np.array([picture.shape[1] / size[1], picture.shape[0] / size[0]], np.float32)
    viz.draw_pose(picture, (joints[:, :2] + 0.5) * scale - 0.5, joints[:, 2])


def _canvas(frame: Frame) -> Picture:
    """A copy of the frame's picture that is large enough to draw on."""
    planes = frame.planes
    if planes is not None and min(planes.shape) >= _SMALLEST_SIDE:
        return planes.copy()
    if planes is not None:
        return enlarged(planes.rgb())[0]
    return enlarged(frame.image if frame.original is None else frame.original)[0]


def enlarged(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """A copy of the picture, pixels repeated until it is easy to see, and how often each was."""
    factor = max(1, -(-_SMALLEST_SIDE // min(image.shape[:2])))
    if factor == 1:  # numpy repeats once as slowly as often
        return image.copy(), 1
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1), factor


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of logits, any shape."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))), np.float32)
