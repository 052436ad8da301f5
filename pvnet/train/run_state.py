"""One run: everything that changes from step to step, its checkpoints and its model file."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from pvnet import runtime
from pvnet.errors import StateError
from pvnet.files import write_whole
from pvnet.nn import Network
from pvnet.runtime.calibration.ranges import KEYS as OF_RANGES
from pvnet.train import checkpoint, distributed
from pvnet.train.build import set_norm, to_device
from pvnet.train.captured import CapturedGradients
from pvnet.train.config import Config
from pvnet.train.optimiser import Ema, make_optimiser
from pvnet.train.parts import MakeParts, configured
from pvnet.train.source import Source
from pvnet.train.tbptt import Carried, VideoRows
from pvnet.train.validation import Validation, mean_terms


class Run:
    """One run: everything that changes from step to step.

    Args:
        config: of the run.
        folder: for checkpoint, log, model and picture.
        source: of batches and classes; None: as `config.data` says.
        group: the processes.
        make: what is trained, with which loss; None: as the configuration says, on `source`.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        source: Source | None,
        group: distributed.Group,
        make: MakeParts | None = None,
    ) -> None:
        self.config, self.folder, self.group = config, folder, group
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        if config.run.deterministic:
            torch.use_deterministic_algorithms(mode=True, warn_only=True)
        torch.manual_seed(config.run.seed)
        parts = (make or functools.partial(configured, source=source))(config)
        self.source, self.metadata = parts.source, parts.metadata
        for net in filter(None, (parts.teacher, parts.net)):
            to_device(net, group.device, channels_last=config.run.channels_last)
        self.net = cast("Network", set_norm(parts.net, config.run.norm))
        self.carried = Carried(self.net) if config.run.carry else None
        module = group.wrap(self.carried or self.net)
        self.objective = parts.objective(self.net, module, group.device)
        self.optimiser = make_optimiser(self.net, config.optimiser)
        self.ema = Ema(self.net, config.run.ema) if config.run.ema else None
        self.captured: CapturedGradients | None = None
        if group.device.type == "cuda":
            # Shapes never change within a run: the search for the fastest kernels pays.
            torch.backends.cudnn.benchmark = not config.run.deterministic
            if config.run.cuda_graph and group.world == 1:
                self.captured = CapturedGradients(self.objective, list(self.net.parameters()))
        self.validation = Validation(config.run) if self.source.held_out else None
        self.began = time.monotonic()
        self.step = self.begun_at = 0
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
        if self.validation is not None:
            document["validation"] = self.validation.document()
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
        if self.validation is not None:
            self.validation.restore(document.get("validation", {}))
        self.step = self.begun_at = document["step"]
        self.cursors = document["cursors"]

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

    @property
    def share(self) -> float:
        """How much of its time limit the run has used, 0 without one; the same everywhere."""
        limit = 60 * self.config.run.minutes
        if not limit:
            return 0.0
        used = round(1e6 * (time.monotonic() - self.began) / limit)
        return self.group.extremes(used)[1] / 1e6

    def is_over(self) -> bool:
        """Whether steps, minutes or patience have come to their end."""
        limits = self.config.run
        stopped = self.validation is not None and self.validation.is_stopped(limits.patience)
        late = self.step > self.begun_at and self.share >= 1.0  # one step at least
        return stopped or self.step >= limits.steps or late

    @contextlib.contextmanager
    def averaged(self) -> Iterator[Network]:
        """The network with the EMA of its weights, where there is one."""
        if self.ema is None:
            yield self.net
            return
        kept = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.ema.values)
        try:
            yield self.net
        finally:
            self.net.load_state_dict(kept)

    def look(self) -> dict[str, float]:
        """The loss on the held-out clips; better weights than ever become `best.safetensors`."""
        assert self.validation is not None
        assert self.source.held_out is not None
        with self.averaged() as net:
            terms = mean_terms(net, self.objective, self.source.held_out())
            values = self.group.mean(torch.tensor(list(terms.values()))).tolist()
            found = {f"held_out_{k}": v for k, v in zip(terms, values, strict=True)}
            if self.validation.add(self.step, found["held_out_loss"]) and self.group.first:
                self._write(self.best_path)
        return found

    def picture(self) -> Tensor | None:
        """What the network says of the first held-out clip, where the loss can draw it."""
        draw = getattr(self.objective, "picture", None)
        if draw is None or self.source.held_out is None:
            return None
        with self.averaged() as net:
            modes = [(m, m.training) for m in net.modules()]
            net.eval()
            try:
                return cast("Tensor", draw(next(iter(self.source.held_out()))))
            finally:
                for module, training in modes:
                    module.training = training

    @property
    def best_path(self) -> Path:
        """The model file of the best look."""
        return self.folder / "best.safetensors"

    def export(self, path: Path) -> None:
        """The model file: the best weights of a run that was looked at, else the last (their EMA).

        Raises:
            FileError: it cannot be written.
        """
        if self.validation is not None and self.best_path.exists():
            write_whole(path, self.best_path.read_bytes(), where="train")
            return
        with self.averaged():
            self._write(path)

    def _write(self, path: Path) -> None:
        # Trained weights give other values than those that the ranges of a file are of.
        metadata = {key: value for key, value in self.metadata.items() if key not in OF_RANGES}
        model = runtime.Model(self.net.graph, self.net.export_weights(), metadata)
        runtime.save(model, path)
