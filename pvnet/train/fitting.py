"""`fit`: trains any graph with any loss, with or without a teacher and labels."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pvnet import runtime
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.nn import Network
from pvnet.train.config import Config
from pvnet.train.distillation import Distillation, FitLoss, TaskLoss, check
from pvnet.train.loop import OnStep, train
from pvnet.train.parts import Loss, Parts
from pvnet.train.unlabelled import Videos, make_source

TeacherLike = Network | runtime.Model | str | os.PathLike[str]
# Gentle, for weights that are good already.
_TRAINED: dict[str, dict[str, Any]] = {
    "optimiser": {"rate": 1e-4, "weight_decay": 0.0},
    "run": {"norm": "frozen"},
}
_COMMON: dict[str, dict[str, Any]] = {
    "run": {"steps": 500, "batch": 4, "ema": 0.99, "validate_every": 50, "checkpoint_every": 100},
    "schedule": {"warm_up_steps": 20},
}
# Batches that tell how much the values of the teacher vary.
_MEASURED_BATCHES = 4
_OWN_SECTIONS = ("model", "distill")


@dataclass(frozen=True)
class Fitted:
    """What `fit` made.

    Attributes:
        network: the best weights, in evaluation mode.
        path: the model file with them.
        result: as `result.json` has it; `validation` tells the first and the best look.
    """

    network: Network
    path: Path
    result: Mapping[str, Any]


def fit(
    network: Network | Graph,
    *,
    videos: Videos,
    out: str | os.PathLike[str],
    teacher: TeacherLike | Literal["self"] | None = None,
    loss: TaskLoss | None = None,
    distillation: Distillation | None = None,
    held_out: Videos | None = None,
    settings: Mapping[str, Any] | None = None,
    on_step: OnStep | None = None,
) -> Fitted:
    """Trains a network in its wiring, or goes on with the run in `out`.

    The network given is left as it was. The same call with the same `out` goes on where a run was
    interrupted; with more `run.steps` or `run.minutes` it extends a finished one.

    Args:
        network: of one input; a Graph gets new random weights.
        videos: a video, a folder of them, or several of either. Or one or several tensors
            [b, c, t, h, w], uint8 or float as the network takes it. Or a `pvnet.video` source, live
            or not. Or a `pvnet.train.source.Source`, whose batches may have labels.
        out: folder of the run, made where it is missing.
        teacher: a network, a model or its file, which has the student's outputs. It is frozen and
            runs as it is wired. "self": the network as it is given, wired sequentially.
        loss: (outputs by name, batch) -> scalar; outputs are [b, c, t, h, w] or [b, c, t], the
            batch has "scored" (bool [t], ticks after the warm-up) and what `videos` gives.
        distillation: what the student learns from the teacher; None: its outputs.
        held_out: as videos; None: a fifth of the videos, or the last fifth of each of fewer than
            five. Of a live source the first frames.
        settings: keys of a configuration by their full names, such as {"run.steps": 500,
            "run.minutes": 10, "optimiser.rate": 1e-4, "data.frames": 16,
            "loss.prediction_latency": 0}; docs/training.md lists them.
        on_step: called after every step with its number and losses.

    Returns:
        The network with the weights of the best look, and the result.

    Raises:
        InvalidArgumentError: arguments that do not fit together.
        StateError: the folder holds another run, or the loss is no number any more.
        FileError: a video or the teacher cannot be read.
    """
    if not isinstance(network, Network | Graph):
        raise InvalidArgumentError(
            f"[fit] network: got {type(network).__name__}, expected a pvnet.nn.Network or a "
            "pvnet.Graph. Convert it, for example by pvnet.nn.from_torch."
        )
    if teacher is None and loss is None:
        raise InvalidArgumentError(
            "[fit] there is nothing to learn: got no teacher and no loss, expected one of them. "
            'Pass teacher="self" to learn from the sequential network.'
        )
    if teacher is None and distillation is not None:
        raise InvalidArgumentError(
            "[fit] nobody to learn from: got a distillation and no teacher, expected both or "
            'neither. Pass a teacher, perhaps "self".'
        )
    given = distillation or Distillation()
    graph = network if isinstance(network, Graph) else network.graph
    shape = _input_shape(graph)
    folder = Path(out)
    config = _config(network, settings or {}, dataclasses.asdict(given) if teacher else {})

    def make(config: Config) -> Parts:
        net = Network(network) if isinstance(network, Graph) else copy.deepcopy(network)
        net.requires_grad_(requires_grad=True)
        frozen = _teacher(teacher, net, folder)
        if frozen is not None:
            check(given, net, frozen)
        source = make_source(videos, held_out, config, shape)

        def objective(trained: Network, module: nn.Module, device: torch.device) -> Loss:
            some = source.batches(0, 0, 1) if frozen is not None else iter(())
            clips = (batch["frames"] for batch in itertools.islice(some, _MEASURED_BATCHES))
            return FitLoss(config, trained, module, frozen, given, loss, device, clips)

        metadata = {**net.metadata, "fit": json.dumps(config.to_dict())}
        return Parts(net, source, frozen, objective, metadata)

    result = train(config, folder, make=make, on_step=on_step)
    return Fitted(_best(graph, folder), folder / "model.safetensors", result)


def _input_shape(graph: Graph) -> tuple[int, int, int]:
    inputs = [n for n in graph.nodes if n.op == "input"]
    if len(inputs) != 1:
        raise InvalidArgumentError(
            f"[fit] the network has several inputs: got {[n.name for n in inputs]}, expected one. "
            "Train it with pvnet.nn and a loop of your own."
        )
    return inputs[0].shape


def _config(
    network: Network | Graph, settings: Mapping[str, Any], learned: Mapping[str, Any]
) -> Config:
    """The defaults of `fit`, and over them the settings."""
    graph = network if isinstance(network, Graph) else network.graph
    own: dict[str, dict[str, Any]] = {} if isinstance(network, Graph) else _TRAINED
    document: dict[str, dict[str, Any]] = {}
    for part in (_COMMON, own):
        for section, values in part.items():
            document.setdefault(section, {}).update(values)
    for key, value in settings.items():
        section, dot, name = key.partition(".")
        if not dot or section in _OWN_SECTIONS or key == "run.carry":
            raise InvalidArgumentError(
                f"[fit] unknown setting: got {key!r}, expected section.key, the section one of "
                "data, loss, optimiser, schedule and run. Arguments of fit say the rest."
            )
        document.setdefault(section, {})[name] = value
    document["model"] = {
        "name": "given",
        "wiring": graph.wiring,
        "stages": graph.n_stages,
        "options": {"distillation": json.loads(json.dumps(learned))},
    }
    return Config.from_dict(document)


def _teacher(
    given: TeacherLike | Literal["self"] | None, student: Network, folder: Path
) -> Network | None:
    """Frozen, in evaluation mode. "self" is kept in the folder: a run that goes on needs it."""
    if given is None:
        return None
    kept = folder / "teacher.safetensors"
    if given == "self":
        if not kept.exists():
            graph = student.graph.wire("sequential", student.graph.stage_lists)
            runtime.save(runtime.Model(graph, student.export_weights()), kept)
        given = kept
    if isinstance(given, Network):
        net = copy.deepcopy(given)
    else:
        model = runtime.load(given)
        net = Network(model.graph)
        net.load_weights(model.weights)
    return net.requires_grad_(requires_grad=False).eval()


def _best(graph: Graph, folder: Path) -> Network:
    model = runtime.load(folder / "model.safetensors")
    net = Network(graph, metadata=model.metadata)
    net.load_weights(model.weights)
    return net.eval()
