"""Train a network as a TOML file says; run it again to go on after an interruption."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvnet.cli._common.parse import new_folder
from pvnet.cli._common.progress import Progress, left_out, note
from pvnet.cli._common.report import Report
from pvnet.files import write_json
from pvnet.report import plain

if TYPE_CHECKING:
    from pvnet.data.clips import Dataset
    from pvnet.train.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet train`."""
    parser.add_argument("config", metavar="CONFIG.toml", help="docs/training.md lists the keys")
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """What `train` and `distill` share."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="e.g. run.steps=100")
    parser.add_argument(
        "--out", type=new_folder, default=Path("pvnet_run"), metavar="DIR", help="default pvnet_run"
    )


def run(args: argparse.Namespace) -> Report:
    """Read the configuration, train, sum up."""
    return run_with(args, args.overrides)


def run_with(args: argparse.Namespace, overrides: list[str]) -> Report:
    """Train with these overrides; in all but the first process of several the report is empty."""
    from pvnet.evaluate.class_names import class_numbers
    from pvnet.train.build import task_of
    from pvnet.train.config import load_config
    from pvnet.train.loop import train
    from pvnet.train.memory import keep_freed_memory

    keep_freed_memory()
    config = load_config(args.config, overrides)
    held_out = _held_out_data(config)  # what is wrong with it is said before the training

    def on_start(done: int, about: Mapping[str, Any]) -> None:
        if held_out is not None and task_of(config) == "actions":
            class_numbers(about.get("class_names", ()), held_out.classes, held_out.name)
        if args.quiet:
            return
        left_out(about, f"{args.out / 'data.json'} lists them")
        if done:
            note(f"going on at step {done}")

    with Progress(args.command, total=config.run.steps, quiet=args.quiet) as bar:
        done = 0

        def on_step(step: int, losses: dict[str, float]) -> None:
            nonlocal done
            # A resumed run begins in the middle: what was done before takes no time now.
            bar.step(step - done) if done else bar.begin_at(step)
            done = step
            bar.say(f"loss {losses['loss']:.4g}")

        result = train(config, args.out, on_start=on_start, on_step=on_step)
    if not result:
        return Report({}, "")
    if held_out is not None:
        if not args.quiet:
            note(f"evaluating on {config.data.held_out}")
        result |= _score(config, held_out, result["model"])
        write_json(args.out / "result.json", plain(result))
    last = result["last"]
    text = (
        f"{result['steps']} steps, loss {last['loss']:.4g}; wrote {result['model']}, the log "
        f"{args.out / 'log.jsonl'}" + (f" and {result['curve']}" if result["curve"] else "")
    )
    return Report(result, text)


def _held_out_data(config: Config) -> Dataset | None:
    """The clips of `data.held_out`."""
    if not config.data.held_out:
        return None
    from pvnet import data
    from pvnet.train.build import frame_size, task_of

    task: Any = task_of(config)
    return data.open_dataset(
        config.data.held_out,
        split=config.data.split,
        train=False,
        size=frame_size(config.model.options),
        frames=None,
        fps=config.data.fps or None,
        task=task,
        crop=config.data.crop,
    )


def _score(config: Config, held_out: Dataset, model: str) -> dict[str, Any]:
    """The score on it, through the runtime."""
    from pvnet.evaluate.evaluation import Protocol, evaluate
    from pvnet.train.build import task_of

    task: Any = task_of(config)
    protocol = Protocol(prediction_latency=config.loss.prediction_latency)
    return {"held_out": evaluate(model, held_out, task=task, protocol=protocol)}
