"""What a network says about a frame, drawn over it: joints, heatmaps or the top actions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvnet import viz
from pvnet.cli._common.network_choice import Choice
from pvnet.models import pose
from pvnet.runtime import Plan, Tick
from pvnet.video import JOINTS, Frame

# Pictures smaller than this are enlarged, so that lines and letters are readable.
_SMALLEST_SIDE = 240
_TOP = 3
_GAP_SHOWN_S = 3.0


class Overlay:
    """Draws the first output of a plan, or the joints that all outputs say together.

    The model's metadata says what the output means: `task` (joints or actions) and `labels` (a
    JSON list). Without it a vector is taken for actions and a map for heatmaps of joints.

    Args:
        plan: compiled network.
        choice: where it came from.
    """

    def __init__(self, plan: Plan, choice: Choice) -> None:
        self._output = next(iter(plan.outputs))
        channels, height, width = plan.outputs[self._output]
        self._frame_size = next(iter(plan.inputs.values()))[1:]
        guess = "actions" if height * width == 1 else "joints"
        self.task = choice.metadata.get("task", guess)
        if (height * width == 1) != (self.task == "actions"):  # metadata that cannot be meant
            self.task = guess
        self.labels = _labels(choice.metadata.get("labels"), channels, self.task)
        weights = ", random weights" if choice.random else ""
        wiring = f"{plan.graph.wiring} {len(plan.graph.stages)}"
        self._centered = self.task == "joints" and pose.is_centered(list(plan.outputs))
        self._caption = f"{Path(choice.label).stem} {wiring}{weights}"
        self._gap = ("", 0.0)  # words, and until when they are shown

    def draw(self, frame: Frame, tick: Tick) -> NDArray[np.uint8]:
        """The annotated picture, uint8 [h, w, 3]: the original where the source kept it."""
        picture, _ = enlarged(frame.image if frame.original is None else frame.original)
        if not bool(tick.valid[0]):
            status = f"tick {int(tick.tick[0])}  warming up"
        else:
            status = f"tick {int(tick.tick[0])}  {tick.latency_ms:.1f} ms"
            self._mark_tick(picture, frame, tick)
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

    def joints(self, tick: Tick) -> NDArray[np.float32]:
        """The joints of a tick of a network around a centre, [13, 3] in its own pixels."""
        return pose.decode({name: tick[name][0] for name in pose.CENTERED}, self._frame_size)

    def _mark_tick(self, picture: NDArray[np.uint8], frame: Frame, tick: Tick) -> None:
        if self._centered:
            self._mark_joints(picture, frame, self.joints(tick))
        else:
            self.mark(picture, frame, np.asarray(tick[self._output][0], np.float32))

    def _mark_joints(
        self, picture: NDArray[np.uint8], frame: Frame, found: NDArray[np.float32]
    ) -> None:
        """Draw joints [13, 3] of the network's own pixels."""
        joints, scores = found[:, :2], found[:, 2]
        height, width = frame.image.shape[:2]
        if frame.original is not None and frame.mapping is not None:
            joints = frame.mapping.to_source(joints)
            height, width = frame.mapping.source_size
        scale = np.array([picture.shape[1] / width, picture.shape[0] / height], np.float32)
        viz.draw_pose(picture, (joints + 0.5) * scale - 0.5, scores)

    def mark(
        self, picture: NDArray[np.uint8], frame: Frame, output: NDArray[np.float32]
    ) -> None:
        """Draw an output over a picture of the frame, of whatever size, in place.

        Args:
            picture: uint8 [h, w, 3], all of the frame's original (of its image without one).
            frame: says how the network's pixels map to the original's.
            output: [c, h, w] float32, of this or of another frame of the video.
        """
        if self.task == "actions":
            viz.draw_actions(picture, self.labels, softmax(output.ravel()), top=_TOP)
        elif len(output) == len(JOINTS):
            found = pose.decode({"heatmaps": output}, self._frame_size)
            self._mark_joints(picture, frame, found)
        else:
            viz.draw_heatmaps(picture, sigmoid(output))

    def words(self, tick: Tick) -> str:
        """The output of a tick in a line of text."""
        output = np.asarray(tick[self._output][0], np.float32)
        if not bool(tick.valid[0]):
            return "none yet: the video ended before the warm-up"
        if self.task == "actions":
            p = softmax(output.ravel())
            best = np.argsort(-p)[:_TOP]
            return ", ".join(f"{self.labels[i]} {100 * p[i]:.0f} %" for i in best)
        if self._centered:
            sure = self.joints(tick)[:, 2]
            return f"13 joints, mean confidence {sure.mean():.2f}" if sure.any() else "nobody"
        peaks = sigmoid(output.reshape(len(output), -1).max(axis=1))
        return f"{len(peaks)} heatmaps, mean peak {float(peaks.mean()):.2f}"


def enlarged(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """A copy of the picture, pixels repeated until it is easy to see, and how often each was."""
    factor = max(1, -(-_SMALLEST_SIDE // min(image.shape[:2])))
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1), factor


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of logits [n]."""
    e = np.exp(logits - logits.max())
    return np.asarray(e / e.sum(), np.float32)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of logits, any shape."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))), np.float32)


def _labels(text: str | None, channels: int, task: str) -> list[str]:
    try:
        labels = json.loads(text) if text else None
    except json.JSONDecodeError:
        labels = None
    if isinstance(labels, list) and len(labels) == channels:
        return [str(label) for label in labels]
    return [f"{'class' if task == 'actions' else 'map'} {i}" for i in range(channels)]
