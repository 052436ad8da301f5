"""Train a depth-parallel student whose activations follow those of a sequential teacher."""

from __future__ import annotations

import argparse
from pathlib import Path

from pvnet.cli._common.old_options import OldFlag
from pvnet.cli._common.parse import fraction
from pvnet.cli._common.report import Report
from pvnet.cli.train import add_run_arguments, run_with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet distill`."""
    parser.add_argument("config", metavar="CONFIG.toml", help="docs/training.md lists the keys")
    add_run_arguments(parser)
    parser.add_argument(
        "--teacher", required=True, metavar="PATH|NAME", help="model of the same architecture"
    )
    parser.add_argument("--weight", type=fraction, help="lambda, of the matching (default 1)")
    parser.add_argument(
        "--from-scratch", action="store_true", help="do not start from the teacher's weights"
    )
    parser.add_argument("--fresh", action=OldFlag, dest="from_scratch")


def written(args: argparse.Namespace) -> list[Path]:
    """What may not be the teacher's own file."""
    return [args.out / "model.safetensors"]


def run(args: argparse.Namespace) -> Report:
    """As `pvnet train`, with the teacher's file in the configuration."""
    from pvnet.cli._common.network_choice import find_model

    teacher = str(find_model(args.teacher))
    overrides = [f"distill.teacher={teacher!r}"]
    if not args.from_scratch:
        overrides.append(f"model.start={teacher!r}")
    if args.weight is not None:
        overrides.append(f"distill.weight={args.weight}")
    return run_with(args, [*overrides, *args.overrides])
