"""The loss of `fit`: any loss of the outputs, and what a student learns from its teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvnet.errors import InvalidArgumentError
from pvnet.nn import Network
from pvnet.train.config import Config
from pvnet.train.losses import scored_ticks, shift_truth
from pvnet.train.prediction_picture import prediction_picture

Distance = Literal["relative", "cross_entropy", "sigmoid"]
DISTANCES: tuple[str, ...] = get_args(Distance)
TaskLoss = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Distillation:
    """What a student learns from its teacher.

    Attributes:
        outputs: distance of the outputs of tick t from those of the teacher for frame t - P.
            "relative": mean squared error over how much the teacher's values vary.
            "cross_entropy": of a softmax over channels. "sigmoid": cross-entropy of every cell.
            A dict says it by output; outputs that it leaves out are not compared. None: none is.
        nodes: names of nodes whose values are compared at the same tick, "relative" too; "stages":
            all that leave a stage.
        weight: of the nodes, lambda.
        maturing: lambda of a temporal-difference loss: below 1, what the student itself says up to
            K - 1 ticks later is part of the target; at 1 only the teacher is.
    """

    outputs: Distance | Mapping[str, Distance] | None = "relative"
    nodes: tuple[str, ...] | Literal["stages"] = ()
    weight: float = 1.0
    maturing: float = 1.0


def check(distillation: Distillation, student: Network, teacher: Network) -> None:
    """Refuses what the two networks cannot be compared by.

    Raises:
        InvalidArgumentError: an unknown distance, output or node, or one of another shape.
    """
    d = distillation
    if not 0 <= d.maturing <= 1 or not d.weight >= 0:
        raise InvalidArgumentError(
            f"[fit] distillation: got weight {d.weight} and maturing {d.maturing}, expected a "
            "weight of at least 0 and maturing from 0 to 1. Correct them."
        )
    kinds = distances(d, student)
    for name, kind in kinds.items():
        if kind not in DISTANCES:
            raise InvalidArgumentError(
                f"[fit] unknown distance of output {name!r}: got {kind!r}, expected one of "
                f"{', '.join(DISTANCES)}. Correct it."
            )
    own = {o.name: o.shape for o in student.graph.outputs}
    theirs = {o.name: o.shape for o in teacher.graph.outputs}
    _same("output", kinds, own, theirs)
    own = {n.name: n.shape for n in student.graph.nodes}
    theirs = {n.name: n.shape for n in teacher.graph.nodes}
    _same("node", node_names(d, student), own, theirs)


def _same(
    what: str,
    names: Mapping[str, str] | list[str],
    own: Mapping[str, tuple[int, int, int]],
    theirs: Mapping[str, tuple[int, int, int]],
) -> None:
    for name in names:
        if name not in own or own[name] != theirs.get(name):
            raise InvalidArgumentError(
                f"[fit] {what} {name!r} cannot be compared: got shape {own.get(name)} in the "
                f"student and {theirs.get(name)} in the teacher, expected one shape (c, h, w). "
                f"Choose among {sorted(own.keys() & theirs.keys())[:8]}, or another teacher."
            )


def distances(distillation: Distillation, net: Network) -> dict[str, str]:
    """The distance of every output that is compared."""
    given = distillation.outputs
    if given is None:
        return {}
    if isinstance(given, str):
        return {o.name: given for o in net.graph.outputs}
    return dict(given)


def node_names(distillation: Distillation, net: Network) -> list[str]:
    """The nodes that are compared."""
    if distillation.nodes == "stages":
        return [name for stage in net.stage_outputs() for name in stage]
    return list(distillation.nodes)


class FitLoss:
    """`loss(batch)` gives the terms "task", "outputs", "matching" and their sum "loss".

    Args:
        config: of the run: P, warm-up, precision.
        net: as wired.
        module: what is called: the network, perhaps distributed.
        teacher: frozen, or None.
        distillation: what is learned from it.
        task: (outputs by name, batch) -> scalar, or None. The batch has "scored", bool [t], beside
            what its source gave.
        device: of all of them.
        clips: some [b, c, t, h, w], which tell how much the teacher's values vary.
    """

    def __init__(
        self,
        config: Config,
        net: Network,
        module: nn.Module,
        teacher: Network | None,
        distillation: Distillation,
        task: TaskLoss | None,
        device: torch.device,
        clips: Iterable[Tensor] = (),
    ) -> None:
        self.config, self.module, self.teacher, self.task = config, module, teacher, task
        self.device = device
        own = max(o.warm_up_ticks for o in net.graph.outputs)
        self.warm_up = own if config.loss.warm_up < 0 else config.loss.warm_up
        self.horizon = net.graph.n_stages - 1
        self.maturing = distillation.maturing
        self.weight = distillation.weight
        self.distances = distances(distillation, net) if teacher else {}
        self.nodes = node_names(distillation, net) if teacher else []
        self.scales = variations(teacher, clips, self.nodes, device) if teacher else {}
        self._masks: dict[int, Tensor] = {}  # on the device: a captured step may not copy

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms of one batch."""
        frames = batch["frames"].to(self.device)
        if self.config.run.channels_last:
            frames = frames.contiguous(memory_format=torch.channels_last_3d)
        half = self.config.run.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            outputs, values = self.module(frames, return_nodes=self.nodes)
            if self.teacher is not None:
                with torch.no_grad():
                    targets, wanted = self.teacher(frames, return_nodes=self.nodes)
        scored = self._scored(int(frames.shape[2]))
        first = max(self.warm_up, self.config.loss.prediction_latency)
        terms: dict[str, Tensor] = {}
        if self.task is not None:
            on_device = {
                k: v.to(self.device) if isinstance(v, Tensor) else v for k, v in batch.items()
            }
            terms["task"] = self.task(outputs, {**on_device, "scored": scored})
        if self.distances:
            terms["outputs"] = self._outputs(outputs, targets, first)
        if self.nodes:
            terms["matching"] = torch.stack(
                [
                    relative(values[n], wanted[n], first) / self.scales.get(n, 1.0)
                    for n in self.nodes
                ]
            ).sum()
        weights = {"matching": self.weight}
        total = torch.stack([weights.get(k, 1.0) * v.float() for k, v in terms.items()]).sum()
        return {**terms, "loss": total}

    def picture(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the network says of a clip beside what its teacher says, uint8 [3, h, w]."""
        frames = batch["frames"].to(self.device)
        with torch.no_grad():
            outputs = self.module(frames)
            targets = None if self.teacher is None else self.teacher(frames)
        return prediction_picture(frames, outputs, targets)

    def _scored(self, ticks: int) -> Tensor:
        if ticks not in self._masks:
            latency = self.config.loss.prediction_latency
            mask = scored_ticks(ticks, warm_up=self.warm_up, prediction_latency=latency)
            self._masks[ticks] = mask.to(self.device)
        return self._masks[ticks]

    def _outputs(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], first: int
    ) -> Tensor:
        latency = self.config.loss.prediction_latency
        # A look at held-out clips asks for the teacher's word alone.
        maturing = self.maturing if torch.is_grad_enabled() else 1.0
        terms = []
        for name, kind in self.distances.items():
            own, wanted = outputs[name].float(), targets[name].float()
            target = as_target(kind, shift_truth(wanted.transpose(1, 2), latency).transpose(1, 2))
            if maturing < 1:
                later = as_target(kind, own.detach())
                target = matured(target, later, maturing, self.horizon)
            found = distance(kind, own, target, first)
            varies = self.scales.get(f"{name}()", 1.0) if kind == "relative" else 1.0
            terms.append(found / varies)
        return torch.stack(terms).sum()


def as_target(kind: str, values: Tensor) -> Tensor:
    """What an output [b, c, t, ...] is compared with: itself, or the chances that it stands for."""
    if kind == "cross_entropy":
        return values.softmax(dim=1)
    return values.sigmoid() if kind == "sigmoid" else values


def distance(kind: str, own: Tensor, target: Tensor, first: int) -> Tensor:
    """Mean distance of an output [b, c, t, ...] from its target, from tick `first` on."""
    if kind == "relative":
        return relative(own, target, first)
    if kind == "cross_entropy":
        each = -(target * own.log_softmax(dim=1)).sum(dim=1, keepdim=True)
    else:
        each = F.binary_cross_entropy_with_logits(own, target, reduction="none")
    return each[:, :, first:].mean()


def relative(own: Tensor, target: Tensor, first: int) -> Tensor:
    """Mean squared error of values [b, c, t, ...] from tick `first` on."""
    return (own[:, :, first:].float() - target[:, :, first:].float()).square().mean()


def variations(
    teacher: Network, clips: Iterable[Tensor], nodes: Sequence[str], device: torch.device
) -> dict[str, float]:
    """Variance over clips and ticks of the values of nodes, and of outputs as `name()`.

    It is that of every value around its own mean, averaged over channels and places. A constant
    answer, the mean, is this far from the truth.
    """
    sums: dict[str, tuple[int, Tensor, Tensor]] = {}
    with torch.no_grad():
        for clip in clips:
            outputs, values = teacher(clip.to(device), return_nodes=list(nodes))
            for name, y in ({f"{k}()": v for k, v in outputs.items()} | values).items():
                wide = y.double()
                new = (y.shape[0] * y.shape[2], wide.sum((0, 2)), wide.square().sum((0, 2)))
                old = sums.get(name)
                sums[name] = (
                    new if old is None else (old[0] + new[0], old[1] + new[1], old[2] + new[2])
                )
    found = {}
    for name, (count, total, squares) in sums.items():
        variance = float((squares / count - (total / count).square()).mean())
        # Values that never change have nothing to be relative to.
        found[name] = variance if variance > 1e-12 * float(squares.mean() / count) else 1.0
    return found


def matured(target: Tensor, later: Tensor, maturing: float, horizon: int) -> Tensor:
    """The target [b, c, t, ...] of a temporal-difference loss.

    (1 - l) * sum_i l^(i - 1) later(t + i) + l^n target(t), i = 1 .. n. Here n is `horizon`, or
    what is left of the clip.

    Args:
        target: of the teacher.
        later: what the student said, without gradient.
        maturing: l.
        horizon: ticks until every stage has seen the frame.
    """
    ticks = target.shape[2]
    out = torch.empty_like(target)
    for t in range(ticks):
        n = min(horizon, ticks - 1 - t)
        mixed = maturing**n * target[:, :, t]
        for i in range(1, n + 1):
            mixed = mixed + (1 - maturing) * maturing ** (i - 1) * later[:, :, t + i]
        out[:, :, t] = mixed
    return out
