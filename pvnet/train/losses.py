"""Losses: actions, joint heatmaps, and the distance between teacher and student activations.

All are means with a denominator that depends on the batch size and on which ticks count, never on
what the labels say. So the mean over processes (or over accumulated parts) of equal size is the
loss of the whole batch. docs/training.md gives the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pvnet.errors import InvalidArgumentError


def scored_ticks(ticks: int, *, warm_up: int, prediction_latency: int) -> Tensor:
    """Which ticks of a clip count: bool [t], from max(warm_up, prediction_latency) on.

    Raises:
        InvalidArgumentError: no tick is left.
    """
    first = max(warm_up, prediction_latency)
    if first >= ticks:
        raise InvalidArgumentError(
            f"[train.losses] no tick is left to learn from: got clips of {ticks} frames, expected "
            f"more than the {first} ticks of warm-up. Use longer clips (data.frames), carried "
            "state (run.carry), or a smaller loss.warm_up."
        )
    return torch.arange(ticks) >= first


def shift_truth(truth: Tensor, prediction_latency: int) -> Tensor:
    """The truth [b, t, ...] against which the output of each tick is scored: of frame t - P.

    The first P entries repeat frame 0; `scored_ticks` leaves them out.
    """
    if prediction_latency == 0:
        return truth
    t = truth.shape[1]
    index = (torch.arange(t, device=truth.device) - prediction_latency).clamp(min=0)
    return truth[:, index]


def _weights(scored: Tensor, like: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Scored ticks [t] or [b, t] as floats [b, t], and how many there are (at least 1)."""
    mask = scored.to(like.device, torch.float32).expand(shape)
    return mask, mask.sum().clamp(min=1.0)


def action_loss(
    logits: Tensor, labels: Tensor, scored: Tensor, *, smoothing: float = 0.0
) -> Tensor:
    """Softmax cross-entropy per tick, mean over the scored ticks.

    Args:
        logits: [b, n, t].
        labels: int64 [b] (one action per clip) or [b, t] (already aligned with the ticks).
        scored: bool [t] or [b, t].
        smoothing: share of the target spread over all classes.
    """
    b, _, t = logits.shape
    truth = labels[:, None].expand(b, t) if labels.dim() == 1 else labels
    per_tick = F.cross_entropy(
        logits.float(), truth.to(logits.device), reduction="none", label_smoothing=smoothing
    )
    mask, count = _weights(scored, logits, (b, t))
    return (per_tick * mask).sum() / count


def joint_targets(
    joints: Tensor, visible: Tensor, *, size: tuple[int, int], stride: float, sigma: float
) -> Tensor:
    """Heatmaps [b, j, t, h, w] with a Gaussian of height 1 around every visible joint.

    Cell (row r, column c) covers the pixels around (stride * (c + 0.5) - 0.5,
    stride * (r + 0.5) - 0.5); invisible joints have maps of zeros.

    Args:
        joints: [b, t, j, 2] pixel x, y of the input frame; anything where invisible.
        visible: bool [b, t, j].
        size: (h, w) of the heatmaps in cells.
        stride: pixels per cell.
        sigma: standard deviation in cells.
    """
    known = torch.where(visible[..., None], joints.float(), torch.zeros_like(joints).float())
    cells = (known + 0.5) / stride - 0.5
    rows = torch.arange(size[0], device=joints.device) - cells[..., 1, None]
    columns = torch.arange(size[1], device=joints.device) - cells[..., 0, None]
    bumps = [torch.exp(-0.5 * (d / sigma) ** 2) for d in (rows, columns)]
    maps = bumps[0][..., :, None] * bumps[1][..., None, :] * visible[..., None, None]
    return maps.transpose(1, 2)


def joint_loss(
    heatmaps: Tensor,
    joints: Tensor,
    visible: Tensor,
    scored: Tensor,
    *,
    stride: float,
    sigma: float = 1.2,
    positive_weight: float = 12.0,
) -> Tensor:
    """Weighted sigmoid cross-entropy on Gaussian heatmaps.

    Every cell of a visible joint weighs 1 + positive_weight * target, every cell of an invisible
    joint 0; the sum is divided by the number of scored cells, invisible ones included.

    Args:
        heatmaps: logits [b, j, t, h, w].
        joints: [b, t, j, 2] pixel x, y, already aligned with the ticks.
        visible: bool [b, t, j].
        scored: bool [t] or [b, t].
        stride: pixels per cell of the heatmaps.
        sigma: of the Gaussians, in cells.
        positive_weight: extra weight of the middle of a Gaussian.
    """
    b, j, t, h, w = heatmaps.shape
    visible = visible.to(heatmaps.device).bool()
    maps = joint_targets(
        joints.to(heatmaps.device), visible, size=(h, w), stride=stride, sigma=sigma
    )
    mask, count = _weights(scored, heatmaps, (b, t))
    weight = (1.0 + positive_weight * maps) * visible.transpose(1, 2)[..., None, None]
    weight = weight * mask[:, None, :, None, None]
    total = F.binary_cross_entropy_with_logits(heatmaps.float(), maps, weight, reduction="sum")
    return total / (count * j * h * w)


def activation_matching(
    student: Mapping[str, Tensor],
    teacher: Mapping[str, Tensor],
    stages: Sequence[Sequence[str]],
    scored: Tensor,
) -> Tensor:
    """sum_i (1 / n_i) |a_seq_i - a_par_i|^2 over the nodes i that leave the given stages.

    The norm is over the n_i channels at one place and tick; it is averaged over batch rows,
    scored ticks and places. The teacher's values get no gradient.

    Args:
        student: by node name, [b, c, t, h, w].
        teacher: the same names and shapes, at the same ticks.
        stages: node names per stage (`Network.stage_outputs()`, or some of it).
        scored: bool [t] or [b, t].

    Raises:
        InvalidArgumentError: shapes that differ: student and teacher are not one architecture.
    """
    terms = []
    for name in (n for nodes in stages for n in nodes):
        ours, theirs = student[name], teacher[name].detach()
        if ours.shape != theirs.shape:
            raise InvalidArgumentError(
                f"[train.activation_matching] node {name!r} differs: got {list(ours.shape)} in the "
                f"student, expected {list(theirs.shape)} as in the teacher. Use a teacher of "
                "the same architecture."
            )
        b, _, t = ours.shape[:3]
        mask, count = _weights(scored, ours, (b, t))
        per_tick = (ours.float() - theirs.float()).square().mean(dim=(1, 3, 4))
        terms.append((per_tick * mask).sum() / count)
    if not terms:
        raise InvalidArgumentError(
            "[train.activation_matching] nothing to match: got no node, expected at least one "
            "stage. Choose stages of Network.stage_outputs()."
        )
    return torch.stack(terms).sum()
