"""What a run trains, on what, and with which loss: as a configuration says, or as given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pvnet.errors import InvalidArgumentError
from pvnet.models import MEAN, STD
from pvnet.nn import Network
from pvnet.train.build import build_network, build_teacher, task_of
from pvnet.train.config import Config
from pvnet.train.objective import Objective
from pvnet.train.source import Source, data_source


class Loss(Protocol):
    """The loss of one batch.

    Attributes:
        module: what is called for it: the network, a Carried, or either one distributed.
    """

    module: nn.Module

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms by name; "loss" is what is minimised."""
        ...


@dataclass(frozen=True)
class Parts:
    """What a run is put together from.

    Attributes:
        net: with the weights that it begins with, on the host.
        source: of batches.
        teacher: a frozen network that the objective calls, or None.
        objective: (network, module to call, device) -> the loss.
        metadata: of the model file.
    """

    net: Network
    source: Source
    teacher: Network | None
    objective: Callable[[Network, nn.Module, torch.device], Loss]
    metadata: Mapping[str, str]


MakeParts = Callable[[Config], Parts]


def configured(config: Config, source: Source | None = None) -> Parts:
    """The parts that a configuration names.

    Args:
        config: of the run; torch's generator draws new weights.
        source: of batches and classes; None: as `config.data` says.

    Raises:
        InvalidArgumentError: they do not fit together.
    """
    source = source or data_source(config)
    net = build_network(config, classes=len(source.classes) or None)
    _check_classes(net, config, source)
    teacher = None
    if config.distill.teacher:
        meant = source.labels(task_of(config)) if config.distill.outputs else ()
        teacher = build_teacher(net, config.distill.teacher, meant)

    def objective(trained: Network, module: nn.Module, device: torch.device) -> Loss:
        return Objective(config, trained, module, teacher, device)

    task = task_of(config)
    metadata = {
        "model": config.model.name,
        "task": task,
        "labels": json.dumps(list(source.labels(task))),
        "mean": json.dumps(MEAN),
        "std": json.dumps(STD),
        "trained_on": config.data.train.partition(":")[0],
        "config": json.dumps(strip_folders(config)),
    }
    return Parts(net, source, teacher.net if teacher else None, objective, metadata)


def strip_folders(config: Config) -> dict[str, Any]:
    """The configuration as a model file carries it: kinds of data, names of files, no folders."""
    document = config.to_dict()
    for key in ("train", "held_out"):
        document["data"][key] = document["data"][key].partition(":")[0]
    for section, key in (("model", "start"), ("distill", "teacher")):
        document[section][key] = Path(document[section][key]).name
    return document


def _check_classes(net: Network, config: Config, source: Source) -> None:
    """Refuse outputs that are too few for the labels of the data.

    Raises:
        InvalidArgumentError: they are.
    """
    outputs, classes = net.graph.outputs[0].shape[0], len(source.classes)
    if task_of(config) == "actions" and classes > outputs:
        raise InvalidArgumentError(
            f"[train] the data has more classes than the network outputs: got {classes} classes "
            f"and model.options.classes = {outputs}, expected at least {classes}. Leave "
            "model.options.classes out, or set it."
        )
