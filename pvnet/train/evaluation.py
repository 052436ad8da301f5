"""Evaluation through the runtime, tick by tick, scored at emission time. No torch.

Every tick takes the newest frame, and what the network has given out by the end of that tick is
compared with the truth of frame t - P of the same tick, from the first tick that counts on. Nothing
waits for a late result: a pipelined network is scored with its delay, a network that is too slow
with its last finished result.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.runtime.model import to_model
from pvnet.train.scores import Counts, action_counts, joint_counts, summary
from pvnet.viz.heatmaps import decode_heatmaps

if TYPE_CHECKING:
    from pvnet.data.clips import Clip, Dataset

Task = Literal["joints", "actions"]
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Protocol:
    """How an evaluation scores.

    Attributes:
        prediction_latency: P.
        first_tick: ticks before this one do not count; at least the warm-up. Set it to the largest
            warm-up of the networks that are compared: then all are scored on the same ticks.
        every: 1, or S of the frame-skipping baseline: the network takes every S-th frame.
        late: ticks after which a result of a taken frame is there; S - 1 where it computes until
            the next one is taken.
    """

    prediction_latency: int = 0
    first_tick: int = 0
    every: int = 1
    late: int = 0


def skipping(graph: Graph) -> Protocol:
    """Frame skipping of the sequential network at the rate that equal work per lane allows.

    A tick of the depth-parallel `graph` lasts as long as its slowest stage; a sequential network
    on one such lane is done after S = ceil(work of all stages / work of the slowest) ticks. So it
    takes a frame every S ticks and gives the result at the end of the S-th.
    """
    costs = [stage.cost for stage in graph.stages]
    every = math.ceil(sum(costs) / max(costs) - 1e-9)
    return Protocol(every=every, late=every - 1)


def emitted_at(tick: int, protocol: Protocol) -> int:
    """Index of the taken frame whose result is out at the end of `tick`; negative: none yet."""
    return (tick - protocol.late) // protocol.every


def first_scored(protocol: Protocol, warm_up: int) -> int:
    """The first tick that counts."""
    filled = warm_up * protocol.every + protocol.late
    return max(filled, protocol.prediction_latency, protocol.first_tick)


def emissions(values: NDArray[np.float32], ticks: int, protocol: Protocol) -> NDArray[np.float32]:
    """What is out at the end of every tick, [t, ...], of the results of taken frames."""
    index = [max(0, emitted_at(t, protocol)) for t in range(ticks)]
    return values[index]


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
                f"[train.evaluate] the model knows fewer classes than the data: got label "
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


def evaluate(
    source: Any,
    dataset: Dataset,
    *,
    task: Task,
    wiring: str | None = None,
    stages: int | Sequence[Sequence[str]] | None = None,
    protocol: Protocol = Protocol(),
    max_clips: int | None = None,
    lanes: int | None = None,
    backend: str = "auto",
    seed: int = 0,
    on_clip: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Runs a model over the clips of a data set and scores it.

    Args:
        source: what `pvnet.compile` takes.
        dataset: clips of the size that the model reads.
        task: "joints" or "actions".
        wiring: other timing than the model's own.
        stages: other stages than the model's own.
        protocol: what counts, and frame skipping.
        max_clips: only the first clips.
        lanes: of the plan; no result depends on it.
        backend: of the plan.
        seed: of the bootstrap.
        on_clip: called after every clip.

    Returns:
        Every metric (`pvnet.train.scores`) with its 95 % interval over clips, and what was
        evaluated: clips, frames, scored ticks, clips left out, wiring, stages, protocol, backend.

    Raises:
        InvalidArgumentError: no clip could be scored; the model does not read these clips.
    """
    model = to_model(source, "train.evaluate")
    if wiring is not None or stages is not None:
        own = model.graph
        cut = own.stage_lists if stages is None or stages == own.n_stages else stages
        model = runtime.Model(own.wire(wiring or own.wiring, cut), model.weights, model.metadata)
    plan = runtime.compile(model, lanes=lanes, backend=backend)
    stream, name = plan.stream(), next(iter(plan.outputs))
    size = next(iter(plan.inputs.values()))[1:]
    warm_up = plan.warm_up_ticks[name]
    first = first_scored(protocol, warm_up)

    def predict(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        stream.reset()
        return np.stack([decode(stream.tick(f)[name][0], task, size) for f in frames])

    counts, left_out, frames, ticks = [], 0, 0, 0
    total = len(dataset) if max_clips is None else min(max_clips, len(dataset))
    for index in range(total):
        clip = dataset.get(index, np.random.default_rng([seed, index]))
        usable = clip.label >= 0 if task == "actions" else clip.joints is not None
        if usable and len(clip.frames) > first:
            out = emissions(predict(clip.frames[:: protocol.every]), len(clip.frames), protocol)
            latency = protocol.prediction_latency
            counts.append(score_clip(clip, out, task=task, first=first, prediction_latency=latency))
            frames += len(clip.frames)
            ticks += len(clip.frames) - first
        else:
            left_out += 1
        if on_clip is not None:
            on_clip()
    if not counts:
        raise InvalidArgumentError(
            f"[train.evaluate] nothing to score: got {total} clips, none with {task} and more than "
            f"{first} frames (the first tick that counts), expected at least 1. Do use other clips "
            "or fewer stages."
        )
    return {
        "task": task,
        "data": dataset.name,
        "clips": len(counts),
        "clips_left_out": left_out,
        "frames": frames,
        "scored_ticks": ticks,
        "size": list(size),
        "wiring": plan.graph.wiring,
        "stages": plan.graph.n_stages,
        "information_latency_ticks": plan.information_latency_ticks[name],
        "warm_up_ticks": warm_up,
        "first_scored_tick": first,
        "protocol": asdict(protocol),
        "backend": plan.backend,
        "isa": plan.isa,
        "model": os.fspath(source) if isinstance(source, str | os.PathLike) else None,
        "interval_level": 0.95,
        **summary(counts, seed=seed),
    }
