"""The training loop."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pvnet import runtime
from pvnet.errors import StateError
from pvnet.models import MEAN, STD
from pvnet.nn import Network
from pvnet.train import checkpoint, distributed
from pvnet.train.captured import CapturedGradients
from pvnet.train.config import Config
from pvnet.train.log import Log, draw_curve, read_log
from pvnet.train.network import build_network, build_teacher, set_norm, task_of, to_device
from pvnet.train.objective import Objective
from pvnet.train.optimiser import Average, make_optimiser, rate_factor, set_rate
from pvnet.train.source import Source, data_source
from pvnet.train.tbptt import Carried, VideoRows

OnStep = Callable[[int, dict[str, float]], None]


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
        self.average = Average(self.net, config.run.ema) if config.run.ema else None
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

    def save(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """A checkpoint from which the run goes on with the same losses, bit for bit."""
        if not self.group.first and self.carried is None:
            return
        tensors = {
            **checkpoint.prefixed("net", self.net.state_dict()),
            **checkpoint.prefixed("optimiser", checkpoint.optimiser_state(self.optimiser)),
            **checkpoint.prefixed("generator", checkpoint.generators()),
        }
        if self.average is not None:
            tensors |= checkpoint.prefixed("average", self.average.values)
        if self.carried is not None:
            tensors |= checkpoint.prefixed("ring", self.carried.rings())
        cursors = batches.cursors if isinstance(batches, VideoRows) else None
        document = {"step": self.step, "cursors": cursors, "config": self.config.to_dict()}
        checkpoint.save_state(self.state_path, tensors, document)

    def resume(self) -> None:
        """Goes on from the checkpoint, if there is one."""
        if not self.state_path.exists():
            return
        tensors, document = checkpoint.load_state(self.state_path)
        checkpoint.check_same_run(document["config"], self.config.to_dict(), self.folder)
        self.net.load_state_dict(checkpoint.under("net", tensors))
        checkpoint.restore_optimiser(self.optimiser, checkpoint.under("optimiser", tensors))
        checkpoint.restore_generators(checkpoint.under("generator", tensors))
        if self.average is not None:
            self.average.load(checkpoint.under("average", tensors))
        if self.carried is not None:
            self.carried.restore_rings(checkpoint.under("ring", tensors))
        self.step, self.cursors = document["step"], document["cursors"]
        steps = self.group.mean(torch.tensor(float(self.step), device=self.group.device))
        if float(steps) != self.step:
            raise StateError(
                f"[train] the processes have checkpoints of different steps: got {self.step} here "
                f"and {float(steps)} on average, expected one step. Start over in an empty folder."
            )

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """The batches from the present step on, this process's share of them."""
        config, group = self.config, self.group
        accumulate = config.optimiser.accumulate
        if self.carried is None:
            start = self.step * accumulate
            distributed.share(config.run.batch, group.world)
            return self.source.batches(start, group.rank, group.world)
        rows = distributed.share(config.run.batch, group.world)
        return VideoRows(
            self.source.videos(),
            rows=rows,
            ticks=config.run.carry,
            hyper_period=self.net.graph.hyper_period,
            seed=config.run.seed,
            first_row=rows * group.rank,
            prediction_latency=config.loss.prediction_latency,
            cursors=self.cursors,
        )

    def export(self, path: Path) -> None:
        """The model file: the averaged weights where there are any."""
        kept = {k: v.clone() for k, v in self.net.state_dict().items()}
        if self.average is not None:
            self.net.load_state_dict(self.average.values)
        task = task_of(self.config)
        metadata = {
            "model": self.config.model.name,
            "task": task,
            "labels": json.dumps(list(self.source.labels(task))),
            "mean": json.dumps(MEAN),
            "std": json.dumps(STD),
            "trained_on": self.config.data.train.partition(":")[0],
            "config": json.dumps(without_places(self.config)),
        }
        model = runtime.Model(self.net.graph, self.net.export_weights(), metadata)
        runtime.save(model, path)
        self.net.load_state_dict(kept)


def without_places(config: Config) -> dict[str, Any]:
    """The configuration as a model file carries it: kinds of data, names of files, no folders."""
    document = config.to_dict()
    for key in ("train", "held_out"):
        document["data"][key] = document["data"][key].partition(":")[0]
    for section, key in (("model", "start"), ("distill", "teacher")):
        document[section][key] = Path(document[section][key]).name
    return document


def train(
    config: Config,
    folder: str | os.PathLike[str],
    *,
    source: Source | None = None,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Trains, or goes on with a run that was interrupted.

    Args:
        config: of the run; on resuming the same one.
        folder: gets `state.safetensors`, `log.jsonl`, `model.safetensors`, `config.json`,
            `curve.png` (with matplotlib) and `result.json`.
        source: of the data; None: as `config.data` says.
        on_step: called after every step with its number and losses, in the first process.

    Returns:
        The result: steps, last losses, files, configuration.

    Raises:
        InvalidArgumentError: a configuration that makes no sense.
        StateError: the folder holds a run of another configuration or another process trains in
            it, or the loss is not finite.
        FileError: a file cannot be read.
    """
    path = Path(folder)
    with distributed.join(config.run.device) as group:
        path.mkdir(parents=True, exist_ok=True)
        with checkpoint.only_run(path) if group.first else contextlib.nullcontext():
            return _train(Run(config, path, source, group), path, on_step)


def _train(run: Run, path: Path, on_step: OnStep | None) -> dict[str, Any]:
    """From the last checkpoint, if there is one, to the result; {} but in the first process."""
    config, group = run.config, run.group
    run.resume()
    group.wait()
    batches = run.batches()
    log = Log(path, step=run.step, tensorboard=config.run.tensorboard) if group.first else None
    if group.first:
        text = json.dumps(config.to_dict(), indent=1) + "\n"
        checkpoint.write_atomic(path / "config.json", text.encode())
    try:
        _steps(run, batches, log, on_step)
    finally:
        if log is not None:
            log.close()
    group.wait()
    return {} if log is None else _finish(run, path)


def _steps(
    run: Run, batches: Iterator[dict[str, Tensor]], log: Log | None, on_step: OnStep | None
) -> None:
    """The loop itself."""
    config = run.config
    while run.step < config.run.steps:
        rate = config.optimiser.rate * rate_factor(config.schedule, run.step, config.run.steps)
        losses = _one_step(run, batches, rate)
        last = run.step + 1 == config.run.steps
        if log is not None and (last or run.step % config.run.log_every == 0):
            log.add(run.step, losses)
        run.step += 1
        if last or run.step % config.run.checkpoint_every == 0:
            run.save(batches)
        if on_step is not None and run.group.first:
            on_step(run.step, losses)


def _accumulated(run: Run, batches: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean gradients of `accumulate` batches, left in the parameters; mean terms of their loss."""
    parts = run.config.optimiser.accumulate
    run.optimiser.zero_grad(set_to_none=True)
    sums: dict[str, Tensor] = {}
    for part in range(parts):
        module = run.objective.module
        alone = part + 1 < parts and isinstance(module, nn.parallel.DistributedDataParallel)
        with cast("Any", module).no_sync() if alone else contextlib.nullcontext():
            terms = run.objective(next(batches))
            (terms["loss"] / parts).backward()  # type: ignore[no-untyped-call]
        for name, value in terms.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach() / parts
    return sums


def _one_step(run: Run, batches: Iterator[dict[str, Tensor]], rate: float) -> dict[str, float]:
    """Gradients, one move of the weights; losses over all processes."""
    config = run.config.optimiser
    set_rate(run.optimiser, rate)
    captured = run.captured
    sums = _accumulated(run, batches) if captured is None else captured(next(batches))
    limit = config.clip_norm or math.inf
    norm = nn.utils.clip_grad_norm_(run.net.parameters(), limit)
    values = run.group.mean(torch.stack([v.float() for v in sums.values()])).tolist()
    losses = dict(zip(sums, values, strict=True))
    if not math.isfinite(losses["loss"]):
        raise StateError(
            f"[train] the loss is no number any more: got {losses['loss']} at step {run.step}, "
            "expected a finite loss. Lower optimiser.rate, or look at the data."
        )
    run.optimiser.step()
    if run.average is not None:
        run.average.update(run.net, run.step)
    return {**losses, "rate": rate, "gradient_norm": float(norm)}


def _finish(run: Run, path: Path) -> dict[str, Any]:
    """Model file, picture, result."""
    model = path / "model.safetensors"
    run.export(model)
    drawn = draw_curve(path / "log.jsonl", path / "curve.png")
    last = read_log(path / "log.jsonl")[-1]
    result = {
        "steps": run.step,
        "processes": run.group.world,
        "device": str(run.group.device),
        "parameters": sum(p.numel() for p in run.net.parameters()),
        "last": last,
        "model": str(model),
        "curve": str(path / "curve.png") if drawn else None,
        "config": run.config.to_dict(),
        "torch": torch.__version__,
    }
    text = json.dumps(result, indent=1) + "\n"
    checkpoint.write_atomic(path / "result.json", text.encode())
    return result
