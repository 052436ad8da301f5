"""The training loop."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pvnet.data.batches.worker_errors import plain_errors
from pvnet.errors import StateError
from pvnet.files import write_json
from pvnet.train import checkpoint, distributed
from pvnet.train.config import Config
from pvnet.train.log import Log, draw_curve, read_log
from pvnet.train.optimiser import rate_factor, set_rate
from pvnet.train.parts import MakeParts
from pvnet.train.run_state import Run
from pvnet.train.source import Source

OnStart = Callable[[int, Mapping[str, Any]], None]
OnStep = Callable[[int, dict[str, float]], None]


def train(
    config: Config,
    folder: str | os.PathLike[str],
    *,
    source: Source | None = None,
    make: MakeParts | None = None,
    on_start: OnStart | None = None,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Trains, or goes on with a run that was interrupted or is to have more steps.

    Args:
        config: of the run; on resuming the same one, perhaps with more steps.
        folder: gets `state.safetensors`, `log.jsonl`, `model.safetensors`, `config.json`,
            `data.json` (what the data set tells of itself), `curve.png` (with matplotlib) and
            `result.json`.
        source: of the data; None: as `config.data` says.
        make: gives network, data and loss (`pvnet.train.parts`); None: as the configuration says.
        on_start: called before the first step with the number of steps done before (by a run that
            was interrupted) and what the data set tells of itself, in the first process.
        on_step: called after every step with its number and losses, in the first process.

    Returns:
        The result: steps, last losses, files, configuration, `unreadable`: how many clips could not
        be read and were replaced (`problems` in the log names them).

    Raises:
        InvalidArgumentError: a configuration that makes no sense.
        StateError: the folder holds a run of another configuration or another process trains in
            it, the loss or its gradient is not finite, or a process that reads clips has ended.
        FileError: a file cannot be read.
    """
    path = Path(folder)
    with distributed.join(config.run.device) as group:
        path.mkdir(parents=True, exist_ok=True)
        with checkpoint.only_run(path) if group.first else contextlib.nullcontext():
            run = Run(config, path, source, group, make)
            try:
                return _train(run, path, on_start, on_step)
            finally:
                run.release()


def _train(
    run: Run, path: Path, on_start: OnStart | None, on_step: OnStep | None
) -> dict[str, Any]:
    """From the last checkpoint, if there is one, to the result; {} but in the first process."""
    config, group = run.config, run.group
    run.resume()
    group.wait()
    if group.first:
        write_json(path / "config.json", config.to_dict())
        write_json(path / "data.json", run.source.about)
        if on_start is not None:
            on_start(run.step, run.source.about)
    batches = run.batches()
    log = Log(path, step=run.step, tensorboard=config.run.tensorboard) if group.first else None
    try:
        with plain_errors():
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
    config, read = run.config, _Read(batches)
    validation = run.validation
    before: dict[str, float] = {}
    if validation is not None and run.step == 0 and validation.is_due(0, last=False):
        before = {f"before_{k}": v for k, v in run.look().items()}
    while not run.is_over():
        losses = {**_one_step(run, read, _rate(run)), **before}
        before = {}
        number = run.step
        run.step += 1
        last = run.is_over()
        looked = validation is not None and validation.is_due(run.step, last=last)
        if looked:
            losses |= run.look()
            last = run.is_over()
        if log is not None and (last or looked or number % config.run.log_every == 0):
            log.add(number, losses, read.take_problems())
        if log is not None and looked and config.run.tensorboard:
            log.add_picture(number, run.picture())
        if last or run.step % config.run.checkpoint_every == 0:
            run.save(batches)
        if on_step is not None and run.group.first:
            on_step(run.step, losses)


def _rate(run: Run) -> float:
    """Of the next step; where time ends the run, its share stands for that of the steps."""
    config, share, steps = run.config, run.share, float(run.config.run.steps)
    if share > 0:
        steps = min(steps, max(run.step, 1) / min(share, 1.0))
    return config.optimiser.rate * rate_factor(config.schedule, run.step, steps)


class _Read:
    """Batches, and what was wrong with the clips that they should have held."""

    def __init__(self, batches: Iterator[dict[str, Tensor]]) -> None:
        self._batches = batches
        self._problems: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return self

    def __next__(self) -> dict[str, Tensor]:
        batch = next(self._batches)
        self._problems += cast("Any", batch.get("problems", []))
        return batch

    def take_problems(self) -> list[str]:
        """Those since the last call."""
        taken, self._problems = self._problems, []
        return taken


def _accumulate(run: Run, batches: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
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
    sums = _accumulate(run, batches) if captured is None else captured(next(batches))
    limit = config.clip_norm or math.inf
    norm = float(nn.utils.clip_grad_norm_(run.net.parameters(), limit))
    values = run.group.mean(torch.stack([v.float() for v in sums.values()])).tolist()
    losses = dict(zip(sums, values, strict=True))
    # A loss may be finite and its gradient not: clipped to a norm, it makes every weight NaN.
    if not math.isfinite(losses["loss"]) or not math.isfinite(norm):
        raise StateError(
            f"[train] the loss or its gradient is no number any more: got {losses['loss']} and a "
            f"norm of {norm} at step {run.step}, expected finite ones. Lower optimiser.rate, or "
            "look at the data."
        )
    run.optimiser.step()
    if run.ema is not None:
        run.ema.update(run.net, run.step)
    return {**losses, "rate": rate, "gradient_norm": norm}


def _finish(run: Run, path: Path) -> dict[str, Any]:
    """Model file, picture, result."""
    model = path / "model.safetensors"
    run.export(model)
    drawn = draw_curve(path / "log.jsonl", path / "curve.png")
    lines = read_log(path / "log.jsonl")
    result = {
        "steps": run.step,
        "processes": run.group.world,
        "device": str(run.group.device),
        "parameters": sum(p.numel() for p in run.net.parameters()),
        "last": lines[-1],
        "validation": None if run.validation is None else run.validation.document(),
        "unreadable": sum(len(line.get("problems", ())) for line in lines),
        "model": str(model),
        "curve": str(path / "curve.png") if drawn else None,
        "config": run.config.to_dict(),
        "torch": torch.__version__,
    }
    write_json(path / "result.json", result)
    return result
