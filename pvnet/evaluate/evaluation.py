"""Evaluation through the runtime, tick by tick, scored at emission time. No torch.

Every tick takes the newest frame. What the network has given out by the end of that tick is
compared with the truth of frame t - P, from the first tick that counts on. Nothing waits for a late
result: a pipelined network is scored with its delay, a network that is too slow with its last
finished result.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pvnet import runtime
from pvnet.cluster.work import Cluster, Outcome, spread
from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.clip import Scored, Scorer, Task, Told, Unreadable, decode, score_clip
from pvnet.evaluate.emission import (
    Protocol,
    find_emitted_tick,
    first_scored,
    frame_subsampling,
    take_emissions,
)
from pvnet.evaluate.metrics import Counts, summary
from pvnet.graph import Graph
from pvnet.models import rewired
from pvnet.runtime.model import to_model

if TYPE_CHECKING:
    from pvnet.data.clips import Dataset

__all__ = [
    "Protocol",
    "Task",
    "decode",
    "evaluate",
    "find_emitted_tick",
    "first_scored",
    "frame_subsampling",
    "score_clip",
    "take_emissions",
]

_EVERY_TICK = Protocol()
# Clips that a worker of a cluster takes at a time: handing over costs a millisecond.
_SHARE = 16


def evaluate(
    source: Any,
    dataset: Dataset,
    *,
    task: Task,
    wiring: str | None = None,
    stages: int | Sequence[Sequence[str]] | None = None,
    protocol: Protocol = _EVERY_TICK,
    max_clips: int | None = None,
    lanes: int | None = None,
    backend: str = "auto",
    dtype: str = "f32",
    seed: int = 0,
    cluster: Cluster | None = None,
    reopen: Callable[[], Dataset] | None = None,
    on_clip: Callable[[], None] | None = None,
    per_clip: bool = False,
) -> dict[str, Any]:
    """Runs a model over the clips of a data set and scores it.

    Args:
        source: what `pvnet.compile` takes.
        dataset: clips of the size that the model reads.
        task: "joints" or "actions".
        wiring: other timing than the model's own.
        stages: other stages than the model's own; a number is cut as `pvnet.models.rewired` does.
        protocol: what counts, and frame subsampling.
        max_clips: only the first clips.
        lanes: of the plan; no result depends on it.
        backend: of the plan.
        dtype: of the plan.
        seed: of the bootstrap.
        cluster: share the clips out over its workers; the result is the same, bit for bit. Each
            compiles a plan of `lanes` lanes (None: 1) for the backend and the instruction set that
            this process would use. They open a source that is a path themselves.
        reopen: how workers of a cluster open the data set; None: it travels to them whole.
        on_clip: called after every clip.
        per_clip: give the counts of every clip too.

    Returns:
        Every metric (`pvnet.evaluate.metrics`) with its 95 % interval over clips, and what was
        evaluated: clips, frames, scored ticks, clips left out, wiring, stages, protocol, backend.
        `problems` tells of clips that cannot be read, which are left out. `left_out` tells of
        videos that the data set has left out (its `describe()`), if it does.
        With `per_clip` also `per_clip`: metric to [sum, count] of every scored clip, in order
        (`pvnet.evaluate.metrics.difference` compares two of them).
        With a cluster also `cluster`: its workers, how many were lost, and the numbers of the clips
        that went to a second one (`retried`). Clips that ended every worker are not scored
        (`failed`: number to reason).

    Raises:
        InvalidArgumentError: no clip could be scored; the model does not read these clips, or was
            trained for other classes.
        UnsupportedError: for a cluster where Ray is not installed.
        ClusterError: the cluster cannot be reached, or its workers do not start.
    """
    model = to_model(source, "evaluate")
    if wiring is not None or stages is not None:
        graph = _wire(model, wiring or model.graph.wiring, stages)
        model = runtime.Model(graph, model.weights, model.metadata)
    total = len(dataset) if max_clips is None else min(max_clips, len(dataset))
    how: dict[str, Any] = {"task": task, "protocol": protocol, "seed": seed, "dtype": dtype}
    here = lanes if cluster is None else 1
    scorer = Scorer(model, dataset, backend=backend, lanes=here, **how)
    plan, name, first = scorer.plan, scorer.name, scorer.first
    if cluster is None:
        outcome = _here(scorer, total, on_clip)
    else:
        path = os.path.abspath(source) if isinstance(source, str | os.PathLike) else None  # noqa: PTH100
        how |= {"backend": plan.backend, "lanes": lanes or 1}
        if plan.backend == "cpu":
            how["isa"] = plan.isa  # the bits depend on it
        clips = reopen or dataset
        make = functools.partial(_on_worker, path or model, model.graph, clips, len(dataset), how)
        outcome = spread(
            make,
            range(total),
            cluster,
            cpus=lanes or 1,
            gpus=int(plan.backend == "cuda"),
            share=_SHARE,
            done=None if on_clip is None else lambda _: on_clip(),
        )
    results = [r for _, r in sorted(outcome.results.items())]
    scored = [r for r in results if isinstance(r, Scored)]
    counts = [r.counts for r in scored]
    if not counts:
        raise InvalidArgumentError(
            f"[evaluate] nothing to score: got {total} clips, none readable with {task} and "
            f"more than {first} frames (the first tick that counts), expected at least 1. Use "
            "other clips or fewer stages."
        )
    return {
        "task": task,
        "data": dataset.name,
        "clips": len(counts),
        "clips_left_out": len(results) - len(counts),
        "problems": [r.problem for r in results if isinstance(r, Unreadable)],
        **_left_out_before(dataset),
        "frames": sum(r.frames for r in scored),
        "scored_ticks": sum(r.ticks for r in scored),
        "size": list(scorer.size),
        "wiring": plan.graph.wiring,
        "stages": plan.graph.n_stages,
        "information_latency_ticks": plan.information_latency_ticks[name],
        "warm_up_ticks": plan.warm_up_ticks[name],
        "first_scored_tick": first,
        "protocol": asdict(protocol),
        "backend": plan.backend,
        "isa": plan.isa,
        "dtype": plan.dtype,
        "model": os.fspath(source) if isinstance(source, str | os.PathLike) else None,
        "interval_level": 0.95,
        **({} if cluster is None else {"cluster": outcome.document()}),
        **({"per_clip": _per_clip(counts)} if per_clip else {}),
        **summary(counts, seed=seed),
    }


def _wire(
    model: runtime.Model, wiring: str, stages: int | Sequence[Sequence[str]] | None
) -> Graph:
    if stages is None or isinstance(stages, int):
        return rewired(model, wiring, stages).graph
    return model.graph.wire(wiring, stages)


def _left_out_before(dataset: Dataset) -> dict[str, Any]:
    """What the data set left out when it was opened."""
    left_out = dataset.describe().get("left_out")
    return {} if left_out is None else {"left_out": left_out}


def _per_clip(counts: Sequence[Counts]) -> dict[str, list[list[float]]]:
    """Metric to [sum, count] of every clip."""
    return {name: [list(clip[name]) for clip in counts] for name in counts[0]}


def _here(scorer: Scorer, clips: int, on_clip: Callable[[], None] | None) -> Outcome[Told]:
    """All clips in this process."""
    outcome: Outcome[Told] = Outcome()
    for index in range(clips):
        outcome.results[index] = scorer(index)
        if on_clip is not None:
            on_clip()
    return outcome


def _on_worker(
    source: str | runtime.Model,
    graph: Graph,
    dataset: Dataset | Callable[[], Dataset],
    clips: int,
    how: dict[str, Any],
) -> Scorer:
    """What a worker of a cluster works with.

    Raises:
        InvalidArgumentError: it sees another number of clips.
    """
    model = to_model(source, "evaluate")
    opened: Dataset = dataset() if callable(dataset) else dataset
    if len(opened) != clips:
        raise InvalidArgumentError(
            f"[evaluate] a worker sees other data: got {len(opened)} clips of {opened.name}, "
            f"expected {clips}. Put the data on a file system that all machines share."
        )
    # Lanes of several workers on one machine would all be pinned to its first CPUs.
    return Scorer(runtime.Model(graph, model.weights, model.metadata), opened, pin=False, **how)
