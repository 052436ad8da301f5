"""From a configuration to a network, and to its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from pvnet import models
from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.class_names import check_teacher, labels_of
from pvnet.nn import Network
from pvnet.runtime import Model, load
from pvnet.train.config import Config
from pvnet.train.warm_start import start_from

# Most cells of a heatmap hold no joint: sigmoid(-4) = 0.018.
_HEATMAP_BIAS = -4.0


def task_of(config: Config) -> str:
    """What the model is for: "joints" or "actions".

    Raises:
        InvalidArgumentError: unknown model.
    """
    if config.model.name not in models.TASKS:
        raise InvalidArgumentError(
            f"[train] unknown model.name: got {config.model.name!r}, expected one of "
            f"{', '.join(models.list_models())}. Correct it."
        )
    return models.TASKS[config.model.name]


def frame_size(options: dict[str, Any]) -> tuple[int, int]:
    """(h, w) in pixels that the model options ask for.

    Raises:
        InvalidArgumentError: they are no size.
    """
    size = options.get("size", 224)
    pair = (size, size) if isinstance(size, int) else size
    if not isinstance(pair, list | tuple) or [type(v) for v in pair] != [int, int]:
        raise InvalidArgumentError(
            f"[train] wrong value of model.options.size: got {size!r}, expected one whole number "
            "or [height, width] in pixels. Write for example size = [96, 128]."
        )
    return pair[0], pair[1]


def model_file(path: str) -> Model:
    """A model file, or a shipped one by its name."""
    return load(models.pretrained_path(path) if path in models.list_pretrained() else path)


def build_network(config: Config, *, classes: int | None = None) -> Network:
    """The network of a configuration, with new weights or those of `model.start`.

    Args:
        config: of the run; torch's generator draws new weights.
        classes: of the data, where the options do not say.
    """
    task = task_of(config)
    options = dict(config.model.options)
    if task == "actions" and classes is not None:
        options.setdefault("classes", classes)
    graph = models.build(
        config.model.name, stages=config.model.stages, wiring=config.model.wiring, **options
    )
    net = Network(graph)
    if config.model.start:
        start_from(net, model_file(config.model.start), config.model.from_scratch)
    elif task == "joints":
        bias = net.get_parameter(f"{graph.outputs[0].node}.bias")
        nn.init.constant_(bias, _HEATMAP_BIAS)
    return net


@dataclass(frozen=True)
class Teacher:
    """What a student is matched with.

    Attributes:
        net: the sequential wiring of the student's architecture, frozen.
        learned: the nodes that the teacher's file has, with as many channels as the student's.
            What a student has beside them (skips, feedback) teaches nothing: nobody trained it.
    """

    net: Network
    learned: frozenset[str]


def build_teacher(student: Network, path: str, labels: Sequence[str] = ()) -> Teacher:
    """The teacher of a file, in the architecture of the student.

    Args:
        student: with its graph.
        path: model file, or a shipped one's name.
        labels: what the outputs of the student mean; (): not compared.

    A student with more than the file has (skips, feedback) gets a teacher in which that is still
    0.

    Raises:
        InvalidArgumentError: weights of another architecture, or outputs of another meaning.
    """
    graph, model = student.graph, model_file(path)
    check_teacher(labels_of(model.metadata), labels)
    net = Network(graph.wire("sequential", graph.stage_lists))
    start_from(net, model)
    net.requires_grad_(requires_grad=False)
    channels = {n.name: n.shape[0] for n in model.graph.nodes}
    learned = frozenset(n.name for n in graph.nodes if channels.get(n.name) == n.shape[0])
    return Teacher(net.eval(), learned)


def match_stages(
    net: Network, teacher: Teacher, chosen: tuple[int, ...] = (), *, outputs: bool = True
) -> list[tuple[str, ...]]:
    """The nodes that activation matching compares, per chosen stage; empty: of all stages.

    Args:
        net: the student.
        teacher: of the student.
        chosen: indices of stages.
        outputs: with the nodes whose values are outputs of the network.

    Raises:
        InvalidArgumentError: there is no such stage.
    """
    kept = teacher.learned - (set() if outputs else {o.node for o in net.graph.outputs})
    stages = [tuple(n for n in nodes if n in kept) for nodes in net.stage_outputs()]
    wrong = [i for i in chosen if not 0 <= i < len(stages)]
    if wrong:
        raise InvalidArgumentError(
            f"[train] distill.stages names stages that are not there: got {wrong}, expected "
            f"indices from 0 to {len(stages) - 1}. Correct them."
        )
    return [stages[i] for i in chosen] if chosen else stages


def set_norm(net: nn.Module, mode: str) -> nn.Module:
    """Batch norm as `run.norm` says: "local" statistics, "sync" over processes, or "frozen".

    Returns:
        The network in train mode.
    """
    if mode == "sync":
        net = cast("Any", nn.SyncBatchNorm).convert_sync_batchnorm(net)
    net.train()
    if mode == "frozen":
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    return net


def to_device(net: nn.Module, device: torch.device, *, channels_last: bool) -> nn.Module:
    """Moved, and its kernels laid out as convolutions like them."""
    net = net.to(device)
    if channels_last:
        for parameter in net.parameters():
            if parameter.dim() == 5:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return net
