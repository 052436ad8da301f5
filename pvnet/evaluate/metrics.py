"""Metrics per clip as (sum, count), so that any set of clips, and any resampling, can be scored.

numpy only. Everything is scored at emission time: the caller says which ticks count and gives the
truth that belongs to each of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError

Counts = dict[str, tuple[float, float]]
SHARES = (0.1, 0.2)
_TORSO = (1, 8)  # left shoulder, right hip


def joint_counts(
    found: NDArray[Any], truth: NDArray[Any], visible: NDArray[np.bool_], scored: NDArray[np.bool_]
) -> Counts:
    """Counts of one clip of joints.

    * `pck@A_box`: share of visible joints found within A times the longer side of the box around
      the visible joints of their frame.
    * `pck@A_person`: the same with the box around all known joints, those outside the picture too.
    * `pck@A_torso`: within A times the distance from left shoulder to right hip, frames with both
      visible only.
    * `mean_error_px`: mean distance of visible joints.
    * `jitter_px`: mean length of the second difference of the found joints, and `truth_jitter_px`
      that of the truth, over joints visible in three scored ticks running.

    Args:
        found: [t, j, 2] pixel x, y that the network emitted at each tick.
        truth: [t, j, 2] what it is scored against; where invisible, either the place outside the
            picture or hidden in it, or (0, 0) for unknown.
        visible: [t, j].
        scored: [t].
    """
    known = np.logical_and(visible, scored[:, None])
    somewhere = known | (np.isfinite(truth).all(axis=-1) & (truth != 0).any(axis=-1))
    person = _longer_side(truth, somewhere)
    truth = np.where(known[..., None], truth, 0.0).astype(np.float64)
    distance = np.linalg.norm(found - truth, axis=-1)
    with_torso: NDArray[np.bool_] = np.asarray(known[:, list(_TORSO)].all(axis=1))
    counts: Counts = {}
    for name, side in (("box", _longer_side(truth, known)), ("person", person)):
        for share in SHARES:
            hits = known & (distance <= share * side[:, None])
            counts[f"pck@{share}_{name}"] = (float(hits.sum()), float(known.sum()))
    torso = np.linalg.norm(truth[:, _TORSO[0]] - truth[:, _TORSO[1]], axis=-1)
    there = known & with_torso[:, None]
    for share in SHARES:
        hits = there & (distance <= share * torso[:, None])
        counts[f"pck@{share}_torso"] = (float(hits.sum()), float(there.sum()))
    counts["mean_error_px"] = (float(distance[known].sum()), float(known.sum()))
    running = known[2:] & known[1:-1] & known[:-2]
    for name, path in (("jitter_px", found), ("truth_jitter_px", truth)):
        bend = np.linalg.norm(path[2:] - 2 * path[1:-1] + path[:-2], axis=-1)
        counts[name] = (float(bend[running].sum()), float(running.sum()))
    return counts


def _longer_side(points: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Longer side [t] of the box around the chosen points [t, j, 2] of a frame; 0 around none."""
    high = np.where(chosen[..., None], points, -np.inf).max(axis=1)
    low = np.where(chosen[..., None], points, np.inf).min(axis=1)
    some = np.asarray(chosen.any(axis=1))
    return np.asarray(np.where(some[:, None], high - low, 0.0).max(axis=1), np.float64)


def action_counts(logits: NDArray[Any], label: int, scored: NDArray[np.bool_]) -> Counts:
    """Counts of one clip of one action.

    `top1`, `top5`: by the mean of the softmax over the scored ticks; `tick_top1`: share of scored
    ticks whose own best class is right.

    Args:
        logits: [t, n] that the network emitted.
        label: of the clip.
        scored: [t].
    """
    if not scored.any():
        return {name: (0.0, 0.0) for name in ("top1", "top5", "tick_top1")}
    z = logits[scored].astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    mean = (p / p.sum(axis=1, keepdims=True)).mean(axis=0)
    rank = int((mean > mean[label]).sum())
    right = z.argmax(axis=1) == label
    return {
        "top1": (float(rank < 1), 1.0),
        "top5": (float(rank < 5), 1.0),
        "tick_top1": (float(right.sum()), float(len(right))),
    }


def summary(
    clips: Sequence[Mapping[str, tuple[float, float]]],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
) -> dict[str, Any]:
    """Every metric over all clips, with a bootstrap interval over clips or clusters of them.

    Args:
        clips: counts of each clip.
        samples: bootstrap resamplings.
        seed: of the resampling.
        level: share of resamplings inside the interval.
        clusters: of each clip, such as its source video; None: each is its own.

    Returns:
        `name` (None where nothing was scored) and `name_interval` [low, high] for every metric.

    Raises:
        InvalidArgumentError: there are not as many clusters as clips.
    """
    out: dict[str, Any] = {}
    names = list(dict.fromkeys(name for counts in clips for name in counts))
    draws = draw_clips(len(clips), samples=samples, seed=seed, clusters=clusters)
    tail = 100 * (1 - level) / 2
    for name in names:
        pairs = np.array([counts.get(name, (0.0, 0.0)) for counts in clips])
        total, count = pairs.sum(axis=0)
        if count == 0:
            out[name], out[f"{name}_interval"] = None, None
            continue
        sums, counts_of = draws @ pairs[:, 0], draws @ pairs[:, 1]
        values = sums[counts_of > 0] / counts_of[counts_of > 0]
        out[name] = float(total / count)
        out[f"{name}_interval"] = [float(v) for v in np.percentile(values, [tail, 100 - tail])]
    return out


def draw_clips(
    clips: int, *, samples: int, seed: int, clusters: Sequence[Hashable] | None = None
) -> NDArray[np.int64]:
    """How often every resampling has every clip, [samples, clips].

    Clips of one cluster, such as one source video, resemble each other. So whole clusters are
    drawn, with replacement and as many as there are; a cluster's clips come all or not at all.

    Args:
        clips: how many there are.
        samples: bootstrap resamplings.
        seed: of the resampling.
        clusters: of each clip; None: each is its own.

    Raises:
        InvalidArgumentError: there are not as many clusters as clips.
    """
    of_clip = list(range(clips)) if clusters is None else list(clusters)
    if len(of_clip) != clips:
        raise InvalidArgumentError(
            f"[evaluate.metrics] clusters of other clips: got {len(of_clip)} clusters for {clips} "
            "clips, expected one for each. Take those of the same data and part."
        )
    number = {cluster: i for i, cluster in enumerate(dict.fromkeys(of_clip))}
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(number), np.full(len(number), 1 / len(number)), samples)
    return np.asarray(draws[:, [number[cluster] for cluster in of_clip]], np.int64)


Pairs = Sequence[tuple[float, float]]


def difference(
    ours: Sequence[Pairs],
    theirs: Sequence[Pairs],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
) -> tuple[float, list[float]] | None:
    """By how much one metric is higher here than there, over the same clips.

    Clips are drawn once for both, so that what makes a clip hard for both cancels out.

    Args:
        ours: per repetition (seeds of a training), (sum, count) of every clip.
        theirs: the same clips in the same order, in any number of repetitions.
        samples: bootstrap resamplings.
        seed: of the resampling.
        level: share of resamplings inside the interval.
        clusters: of each clip, such as its source video; None: each is its own.

    Returns:
        The difference and its interval [low, high]; None where nothing was scored.
    """
    a, b = (np.sum(np.array(side, np.float64), axis=0) for side in (ours, theirs))
    if a.shape != b.shape:
        raise InvalidArgumentError(
            f"[evaluate.metrics] two lists of other clips: got {len(a)} and {len(b)}, expected the "
            "same clips. Score both on the same data."
        )
    if a[:, 1].sum() == 0 or b[:, 1].sum() == 0:
        return None
    draws = draw_clips(len(a), samples=samples, seed=seed, clusters=clusters)
    there = ((draws @ a[:, 1]) > 0) & ((draws @ b[:, 1]) > 0)
    drawn = draws[there]
    values = (drawn @ a[:, 0]) / (drawn @ a[:, 1]) - (drawn @ b[:, 0]) / (drawn @ b[:, 1])
    tail = 100 * (1 - level) / 2
    whole = a[:, 0].sum() / a[:, 1].sum() - b[:, 0].sum() / b[:, 1].sum()
    return float(whole), [float(v) for v in np.percentile(values, [tail, 100 - tail])]
