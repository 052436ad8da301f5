"""Argument types: what argparse refuses is bad usage and ends with 2."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from pvnet.errors import InvalidArgumentError


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = _integer(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {value}, expected at least 1")
    return value


def natural(text: str) -> int:
    """An integer of at least 0."""
    value = _integer(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"got {value}, expected at least 0")
    return value


def positive_list(text: str) -> list[int]:
    """Integers of at least 1 with commas between: `1,2,7`."""
    return [positive(part) for part in text.split(",")]


def new_file(text: str) -> Path:
    """A file that can be written, found out before the work of an hour is done."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"got the folder {text}, expected the name of a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"got {text}, but there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"got {text}, which may not be written")
    return path


MODEL_FILES = (".safetensors", ".st")
PICTURES = (".png", ".svg", ".pdf")


def new_file_of(*endings: str) -> Callable[[str], Path]:
    """As `new_file`, with one of these endings or none: what is written is nothing else."""
    check = file_of(*endings)
    return lambda text: new_file(str(check(text)))


def file_of(*endings: str) -> Callable[[str], Path]:
    """A file with one of these endings, or with none."""

    def named(text: str) -> Path:
        ending = Path(text).suffix
        if ending and ending.lower() not in endings:
            raise argparse.ArgumentTypeError(
                f"got {text}, expected a name that ends with {' or '.join(endings)}: "
                f"nothing is written as {ending}"
            )
        return Path(text)

    return named


def cluster_address(text: str) -> str:
    """Where a Ray cluster is: local, auto or HOST:PORT."""
    from pvnet.data.ray_connection import check_address

    try:
        return check_address(text)
    except InvalidArgumentError:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected local, auto or HOST:PORT"
        ) from None


def add_cluster_argument(parser: argparse.ArgumentParser) -> None:
    """`--cluster`."""
    parser.add_argument(
        "--cluster",
        type=cluster_address,
        metavar="local|auto|HOST:PORT",
        help="spread the work over a Ray cluster (docs/cli.md)",
    )


def fraction(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text}, expected a number above 0")
    return value


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected an integer") from None
