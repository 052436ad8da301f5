"""One clip through the runtime and against its truth; what an evaluation does for every clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.decode.heatmaps import decode_heatmaps
from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.class_names import class_numbers, labels_of
from pvnet.evaluate.emission import Protocol, first_scored, take_emissions
from pvnet.evaluate.metrics import Counts, action_counts, joint_counts
from pvnet.models import pose

if TYPE_CHECKING:
    from pvnet.data.clips import Clip, Dataset
    from pvnet.runtime import Tick

Task = Literal["joints", "actions"]


def score_clip(
    clip: Clip, emitted: NDArray[np.float32], *, task: Task, first: int, prediction_latency: int
) -> Counts:
    """Counts of one clip.

    Args:
        clip: with its truth.
        emitted: per tick, joints [t, 13, 2] in pixels or logits [t, n].
        task: "joints" or "actions".
        first: first tick that counts.
        prediction_latency: P.
    """
    ticks = len(emitted)
    scored = np.arange(ticks) >= first
    if task == "actions":
        if clip.label >= emitted.shape[1]:
            raise InvalidArgumentError(
                f"[evaluate] the model knows fewer classes than the data: got label "
                f"{clip.label} of clip {clip.clip_id}, expected one below {emitted.shape[1]}. Use "
                "the data it was trained for."
            )
        return action_counts(emitted, clip.label, scored)
    assert clip.joints is not None
    assert clip.visible is not None
    of = np.maximum(np.arange(ticks) - prediction_latency, 0)
    return joint_counts(emitted, clip.joints[of], clip.visible[of], scored)


def decode(output: NDArray[np.float32], task: Task, size: tuple[int, int]) -> NDArray[np.float32]:
    """One tick's output [c, h, w] as joints [13, 2] in pixels, or logits [n] as they are."""
    if task == "joints":
        return np.asarray(decode_heatmaps(output, size)[0], np.float32)
    return np.asarray(output, np.float32).reshape(-1)


@dataclass(frozen=True)
class Scored:
    """One clip through the runtime.

    Attributes:
        counts: of its metrics.
        frames: it has.
        ticks: of them that count.
    """

    counts: Counts
    frames: int
    ticks: int


@dataclass(frozen=True)
class Unreadable:
    """A clip that cannot be read, and why."""

    problem: str


Told = Scored | Unreadable | None  # of a clip; None: nothing to score


class Scorer:
    """Scores the clips of a data set by their numbers, in any order, each from a fresh state.

    Args:
        model: to run.
        dataset: clips of the size that the model reads.
        task: "joints" or "actions".
        protocol: what counts.
        seed: of what the data set draws.
        options: `backend`, `dtype`, `lanes`, `isa` and `pin` of `pvnet.compile`.

    Raises:
        InvalidArgumentError: the model does not know a class of the data set by its name.

    Attributes:
        plan: compiled once.
        first: the first tick that counts.
        size: (h, w) of the frames.
    """

    def __init__(
        self,
        model: runtime.Model,
        dataset: Dataset,
        *,
        task: Task,
        protocol: Protocol,
        seed: int,
        **options: Any,
    ) -> None:
        self._dataset, self._task, self._protocol, self._seed = dataset, task, protocol, seed
        self.plan = runtime.compile(model, **options)
        self._stream, self.name = self.plan.stream(), next(iter(self.plan.outputs))
        self.size = next(iter(self.plan.inputs.values()))[1:]
        self._centered = task == "joints" and pose.is_centered(list(self.plan.outputs))
        warm_up = self.plan.warm_up_ticks
        read = pose.CENTERED if self._centered else (self.name,)
        self.first = first_scored(protocol, max(warm_up[name] for name in read))
        self._numbers: list[int] | None = None
        if task == "actions":
            labels = labels_of(model.metadata)
            self._numbers = class_numbers(labels, dataset.classes, dataset.name)

    def __call__(self, index: int) -> Told:
        """One clip; None if it has nothing to score, what is wrong with it if it cannot be read.

        Raises:
            InvalidArgumentError: the model does not read it, or does not know its class.
        """
        clip = self._dataset.get(index, np.random.default_rng([self._seed, index]))
        if clip.problems:  # another one in its place: that one has a turn of its own
            return Unreadable(clip.problems[0])
        if self._numbers is not None and clip.label >= 0:
            clip = replace(clip, label=self._numbers[clip.label])
        usable = clip.label >= 0 if self._task == "actions" else clip.joints is not None
        ticks = len(clip.frames)
        if not usable or ticks <= self.first:
            return None
        values = self._predict(clip.frames[:: self._protocol.every])
        out = take_emissions(values, ticks, self._protocol)
        latency = self._protocol.prediction_latency
        counts = score_clip(
            clip, out, task=self._task, first=self.first, prediction_latency=latency
        )
        return Scored(counts, ticks, ticks - self.first)

    def _predict(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._stream.reset()
        return np.stack([self._decoded(self._stream.tick(frame)) for frame in frames])

    def _decoded(self, tick: Tick) -> NDArray[np.float32]:
        if not self._centered:
            return decode(tick[self.name][0], self._task, self.size)
        maps = {name: tick[name][0] for name in pose.CENTERED}
        return pose.decode(maps, self.size, nobody=0)[:, :2]
