"""The loss of one batch: task, distillation, whole clips or carried state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pvnet.errors import InvalidArgumentError
from pvnet.nn import Network
from pvnet.train.build import Teacher, match_stages, task_of
from pvnet.train.config import Config
from pvnet.train.losses import (
    action_loss,
    activation_matching,
    joint_loss,
    scored_ticks,
    shift_truth,
)

Batch = Mapping[str, Tensor]


@dataclass
class Objective:
    """`objective(batch)` gives the terms of the loss; "loss" is what is minimised.

    Attributes:
        config: of the run.
        net: as wired, for its facts.
        module: what is called: the network, a Carried, or either one distributed.
        teacher: frozen, or None.
        device: of all of them.
    """

    config: Config
    net: Network
    module: nn.Module
    teacher: Teacher | None
    device: torch.device

    def __post_init__(self) -> None:
        loss, output = self.config.loss, self.net.graph.outputs[0]
        self.output = output.name
        self.warm_up = output.warm_up_ticks if loss.warm_up < 0 else loss.warm_up
        self.task = task_of(self.config)
        # Kept on the device: a captured step may not copy from the host.
        self._masks: dict[int, Tensor] = {}
        distill = self.config.distill
        self.matched = (
            match_stages(self.net, self.teacher, distill.stages, outputs=distill.outputs)
            if self.teacher
            else []
        )

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Task loss, activation matching where there is a teacher, and their sum "loss".

        Raises:
            InvalidArgumentError: pieces of carried videos have ages, and whole clips none.
        """
        config = self.config
        if ("ages" in batch) != bool(config.run.carry):
            raise InvalidArgumentError(
                f"[train] run.carry and the batches do not fit together: got run.carry = "
                f"{config.run.carry} and batches {'with' if 'ages' in batch else 'without'} ages, "
                "expected ages with carried state and none without. Correct run.carry or the "
                "source."
            )
        frames = batch["frames"].to(self.device)
        if config.run.channels_last:
            frames = frames.contiguous(memory_format=torch.channels_last_3d)
        names = [name for stage in self.matched for name in stage]
        student: dict[str, Tensor] = {}
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=config.run.precision == "bf16"
        ):
            if "ages" in batch:
                outputs = self.module(frames, batch["ages"])
            elif self.teacher is None:
                outputs = self.module(frames)
            else:
                outputs, student = self.module(frames, return_nodes=names)
                with torch.no_grad():
                    teacher = self.teacher.net.features(frames, names)
        scored = self._scored(batch, int(frames.shape[2]))
        terms = {"task": self._task(outputs[self.output], batch, scored)}
        terms["loss"] = terms["task"]
        if self.teacher is not None:
            terms["matching"] = activation_matching(student, teacher, self.matched, scored)
            terms["loss"] = terms["task"] + config.distill.weight * terms["matching"]
        return terms

    def _scored(self, batch: Batch, ticks: int) -> Tensor:
        latency = self.config.loss.prediction_latency
        if "ages" in batch:
            return batch["ages"] >= max(self.warm_up, latency)
        if ticks not in self._masks:
            mask = scored_ticks(ticks, warm_up=self.warm_up, prediction_latency=latency)
            self._masks[ticks] = mask.to(self.device)
        return self._masks[ticks]

    def _task(self, output: Tensor, batch: Batch, scored: Tensor) -> Tensor:
        loss = self.config.loss
        # Pieces of carried videos come with the truth already in its place.
        shift = 0 if "ages" in batch else loss.prediction_latency
        if self.task == "actions":
            labels = batch["label"].to(self.device)
            labels = shift_truth(labels, shift) if labels.dim() == 2 else labels
            return action_loss(output, labels, scored, smoothing=loss.smoothing)
        height = self.net.graph.nodes[0].shape[1]
        return joint_loss(
            output,
            shift_truth(batch["joints"].to(self.device), shift),
            shift_truth(batch["visible"].to(self.device), shift),
            scored,
            stride=height / output.shape[3],
            sigma=loss.sigma,
            positive_weight=loss.positive_weight,
        )
