"""A row of results: what one tick said about the video, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import UnsupportedError
from pvnet.runtime import Plan, Tick
from pvnet.video.joints import JOINTS, SKELETON

TOP = 5
# The skeleton, and the head on both shoulders: other tools draw no neck of their own.
BONES: tuple[tuple[int, int], ...] = ((0, 1), (0, 2), *SKELETON)
_PIXEL_DIGITS, _SCORE_DIGITS, _MS_DIGITS, _TIME_DIGITS = 2, 4, 3, 6


@dataclass(frozen=True)
class Row:
    """Results of one tick, of the first row of the batch.

    Attributes:
        tick: index of the tick.
        frame: index of the frame that it took, as the source counts.
        time_s: time stamp of that frame.
        valid: whether the results depend on real frames along every path.
        latency_ms: computational latency of the tick.
        age_ticks: by stage, how old the frame is that it contributed; -1: nothing.
        size: (h, w) in pixels of the picture that joints lie in; None if it is not known.
        joints: float32 [13, 3]: pixel x, y, confidence; None while not valid, and of actions.
        actions: name and probability of the best classes; empty while not valid, and of joints.
    """

    tick: int
    frame: int
    time_s: float
    valid: bool
    latency_ms: float
    age_ticks: tuple[int, ...]
    size: tuple[int, int] | None
    joints: NDArray[np.float32] | None
    actions: tuple[tuple[str, float], ...]

    @property
    def newest_age_ticks(self) -> int | None:
        """Age of the newest frame that the results have heard of; None: of none yet."""
        return min((age for age in self.age_ticks if age >= 0), default=None)

    @property
    def oldest_age_ticks(self) -> int | None:
        """Age of the oldest frame among those that the stages contributed; None: of none yet."""
        return max((age for age in self.age_ticks if age >= 0), default=None)

    def document(self) -> dict[str, Any]:
        """The row as JSON has it; what is not known is null."""
        out = {
            **self._when(),
            "age_ticks": [None if age < 0 else age for age in self.age_ticks],
        }
        if self.joints is not None:
            out["joints"] = {name: _point(j) for name, j in zip(JOINTS, self.joints)}
        elif self.actions:
            out["actions"] = [[name, round(p, _SCORE_DIGITS)] for name, p in self.actions]
        return out

    def flat(self, task: str) -> dict[str, Any]:
        """The row as a table has it: the same columns in every row of a task."""
        out = self._when()
        if task == "actions":
            for place in range(TOP):
                known = self.actions[place] if place < len(self.actions) else (None, None)
                out[f"action_{place + 1}"] = known[0]
                out[f"action_{place + 1}_probability"] = _rounded(known[1], _SCORE_DIGITS)
            return out
        for number, name in enumerate(JOINTS):
            point = [None] * 3 if self.joints is None else _point(self.joints[number])
            out.update(zip((f"{name}_x", f"{name}_y", f"{name}_score"), point))
        return out

    def _when(self) -> dict[str, Any]:
        height, width = self.size or (None, None)
        return {
            "tick": self.tick,
            "frame": self.frame,
            "time_s": round(self.time_s, _TIME_DIGITS),
            "valid": self.valid,
            "latency_ms": round(self.latency_ms, _MS_DIGITS),
            "newest_age_ticks": self.newest_age_ticks,
            "oldest_age_ticks": self.oldest_age_ticks,
            "width": width,
            "height": height,
        }


def expect_results(plan: Plan) -> None:
    """Check that rows of this network would say something.

    Raises:
        UnsupportedError: it gives neither joints nor actions.
    """
    read = plan.meaning
    if read.task != "actions" and not read.has_joints:
        raise UnsupportedError(
            f"[results] this network gives neither joints nor actions: got an output "
            f"{read.output} of shape {plan.outputs[read.output]}, expected {len(JOINTS)} heatmaps "
            "or a vector of classes. Save its outputs from Python."
        )


def row_of(tick: Tick, top: int = TOP) -> Row:
    """The row of a tick that `Stream.run` gave.

    Args:
        tick: with or without a frame of `pvnet.video`; without one, indices and times are 0.
        top: actions to keep.

    Raises:
        UnsupportedError: the network gives neither joints nor actions.
    """
    assert tick._plan is not None, "a Tick that no Stream made"
    valid = bool(tick.valid[0])
    actions = tick._plan.meaning.task == "actions"
    frame = tick.frame
    mapping, image = getattr(frame, "mapping", None), getattr(frame, "image", None)
    size = None if image is None else (int(image.shape[0]), int(image.shape[1]))
    return Row(
        tick=int(tick.tick[0]),
        frame=int(getattr(frame, "index", 0)),
        time_s=float(getattr(frame, "time_s", 0.0)),
        valid=valid,
        latency_ms=float(tick.latency_ms),
        age_ticks=tuple(int(age[0]) for _, age in sorted(tick.age.items())),
        size=size if mapping is None else mapping.source_size,
        joints=tick.joints[0] if valid and not actions else None,
        actions=tuple(tick.actions(top)[0]) if actions else (),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def _point(joint: NDArray[np.float32]) -> list[float | None]:
    """x, y, confidence."""
    x, y, score = joint.tolist()
    return [
        _rounded(x, _PIXEL_DIGITS),
        _rounded(y, _PIXEL_DIGITS),
        _rounded(score, _SCORE_DIGITS),
    ]
