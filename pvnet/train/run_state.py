"""One run: everything that changes from step to step, its checkpoints and its model file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from pvnet import runtime
from pvnet.errors import InvalidArgumentError, StateError
from pvnet.models import MEAN, STD
from pvnet.nn import Network
from pvnet.train import checkpoint, distributed
from pvnet.train.build import build_network, build_teacher, set_norm, task_of, to_device
from pvnet.train.captured import CapturedGradients
from pvnet.train.config import Config
from pvnet.train.objective import Objective
from pvnet.train.optimiser import Ema, make_optimiser
from pvnet.train.source import Source, data_source
from pvnet.train.tbptt import Carried, VideoRows


class Run:
    """One run: everything that changes from step to step.

    Args:
        config: of the run.
        folder: for checkpoint, log, model and picture.
        source: of batches and classes; None: as `config.data` says.
        group: the processes.
    """

    def __init__(
        self, config: Config, folder: Path, source: Source | None, group: distributed.Group
    ) -> None:
        self.config, self.folder, self.group = config, folder, group
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        if config.run.deterministic:
            torch.use_deterministic_algorithms(mode=True, warn_only=True)
        torch.manual_seed(config.run.seed)
        self.source = source or data_source(config)
        net = build_network(config, classes=len(self.source.classes) or None)
        _check_classes(net, config, self.source)
        teacher = None
        if config.distill.teacher:
            meant = self.source.labels(task_of(config)) if config.distill.outputs else ()
            teacher = build_teacher(net, config.distill.teacher, meant)
        if teacher is not None:
            to_device(teacher.net, group.device, channels_last=config.run.channels_last)
        to_device(net, group.device, channels_last=config.run.channels_last)
        self.net = cast("Network", set_norm(net, config.run.norm))
        self.carried = Carried(self.net) if config.run.carry else None
        module = group.wrap(self.carried or self.net)
        self.objective = Objective(config, self.net, module, teacher, group.device)
        self.optimiser = make_optimiser(self.net, config.optimiser)
        self.ema = Ema(self.net, config.run.ema) if config.run.ema else None
        self.captured: CapturedGradients | None = None
        if group.device.type == "cuda":
            # Shapes never change within a run: the search for the fastest kernels pays.
            torch.backends.cudnn.benchmark = not config.run.deterministic
            if config.run.cuda_graph and group.world == 1:
                self.captured = CapturedGradients(self.objective, list(self.net.parameters()))
        self.step = 0
        self.cursors: list[list[int]] | None = None

    @property
    def state_path(self) -> Path:
        """The checkpoint; with carried state every process has its own rows."""
        own = self.carried is not None and not self.group.first
        name = f"state.{self.group.rank}.safetensors" if own else "state.safetensors"
        return self.folder / name

    @property
    def previous_path(self) -> Path:
        """The checkpoint before it, of several processes with carried state.

        A kill may come when only some of them have written the newest one.
        """
        return self.state_path.with_suffix(".previous.safetensors")

    def release(self) -> None:
        """Let go of what belongs to the group of processes, before that is taken apart.

        The traceback of an error keeps the run alive, and with it a distributed network.
        """
        del self.objective
        self.captured = None

    def save(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """A checkpoint from which the run goes on with the same losses, bit for bit."""
        if not self.group.first and self.carried is None:
            return
        tensors = {
            **checkpoint.add_prefix("net", self.net.state_dict()),
            **checkpoint.add_prefix("optimiser", checkpoint.optimiser_state(self.optimiser)),
            **checkpoint.add_prefix("generator", checkpoint.read_generators()),
        }
        if self.ema is not None:
            tensors |= checkpoint.add_prefix("ema", self.ema.values)
        if self.carried is not None:
            tensors |= checkpoint.add_prefix("ring", self.carried.rings())
            if self.group.world > 1 and self.state_path.exists():
                self.state_path.replace(self.previous_path)
        cursors = batches.cursors if isinstance(batches, VideoRows) else None
        document = {"step": self.step, "cursors": cursors, "config": self.config.to_dict()}
        document["processes"] = self.group.world
        checkpoint.save_state(self.state_path, tensors, document)

    def resume(self) -> None:
        """Goes on from the newest checkpoint that all processes have, if there is one.

        Raises:
            StateError: they have none in common, or it is that of another run.
        """
        kept = self._find_checkpoints()
        step, newest = self.group.extremes(max(kept))
        everywhere, _ = self.group.extremes(int(step in kept))
        if not everywhere:
            raise StateError(
                f"[train] the processes have no checkpoint in common: got steps {sorted(kept)} "
                f"here, {step} to {newest} over all, expected one step. Put --out on a file system "
                "that all machines share, use as many processes as before, or start over in an "
                "empty folder."
            )
        path = kept[step]
        if path is None:
            return
        tensors, document = checkpoint.load_state(path)
        checkpoint.check_same_run(document["config"], self.config.to_dict(), self.folder)
        processes = document.get("processes", self.group.world)
        if self.carried is not None and processes != self.group.world:
            raise StateError(
                f"[train] every process carries rows of its own: got {self.group.world} processes, "
                f"expected {processes} as in the checkpoint. Start as many."
            )
        self.net.load_state_dict(checkpoint.take_prefix("net", tensors))
        checkpoint.restore_optimiser(self.optimiser, checkpoint.take_prefix("optimiser", tensors))
        checkpoint.restore_generators(checkpoint.take_prefix("generator", tensors))
        if self.ema is not None:
            old = checkpoint.take_prefix("average", tensors)  # its name before 0.2
            self.ema.load(checkpoint.take_prefix("ema", tensors) or old)
        if self.carried is not None:
            self.carried.restore_rings(checkpoint.take_prefix("ring", tensors))
        self.step, self.cursors = document["step"], document["cursors"]

    def _find_checkpoints(self) -> dict[int, Path | None]:
        """The checkpoints of this process by their step; None is the beginning."""
        several = self.carried is not None and self.group.world > 1
        paths = (self.state_path, self.previous_path) if several else (self.state_path,)
        found = [(checkpoint.document_of(p), p) for p in paths if p.exists()]
        kept: dict[int, Path | None] = {document["step"]: path for document, path in found}
        first_of_all = several and len(found) == 1 and not self.previous_path.exists()
        if not found or (first_of_all and found[0][0].get("processes") == self.group.world):
            kept[0] = None
        return kept

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """The batches from the present step on, this process's share of them."""
        config, group, videos = self.config, self.group, self.source.videos
        rows = distributed.share(config.run.batch, group.world)
        if self.carried is None or videos is None:
            start = self.step * config.optimiser.accumulate
            return self.source.batches(start, group.rank, group.world)
        return VideoRows(
            videos(),
            rows=rows,
            ticks=config.run.carry,
            hyper_period=self.net.graph.hyper_period,
            seed=config.run.seed,
            first_row=rows * group.rank,
            prediction_latency=config.loss.prediction_latency,
            cursors=self.cursors,
        )

    def export(self, path: Path) -> None:
        """The model file: the weights, or their EMA where there is one."""
        kept = {k: v.clone() for k, v in self.net.state_dict().items()}
        if self.ema is not None:
            self.net.load_state_dict(self.ema.values)
        task = task_of(self.config)
        metadata = {
            "model": self.config.model.name,
            "task": task,
            "labels": json.dumps(list(self.source.labels(task))),
            "mean": json.dumps(MEAN),
            "std": json.dumps(STD),
            "trained_on": self.config.data.train.partition(":")[0],
            "config": json.dumps(strip_folders(self.config)),
        }
        model = runtime.Model(self.net.graph, self.net.export_weights(), metadata)
        runtime.save(model, path)
        self.net.load_state_dict(kept)


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
