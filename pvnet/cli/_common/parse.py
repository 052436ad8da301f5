"""Argument types: what argparse refuses is bad usage and ends with 2."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from pvnet.errors import InvalidArgumentError
from pvnet.results.writer import ENDS, end_of
from pvnet.video.formats import FORMATS, WRITTEN, is_special

PICTURES = (".png", ".svg", ".pdf", ".jpg")


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
    path = Path(os.path.realpath(text))  # where a symbolic link leads
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"got the folder {text}, expected the name of a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"got {text}, but there is no folder {path.parent}")
    special = is_special(path)  # all else is written beside and renamed
    if not special and not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"got {text}, but {path.parent} may not be written")
    if path.exists() and not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"got {text}, which may not be written")
    return Path(text)


def new_video(text: str) -> Path:
    """A video file that can be written, in a format that its name says."""
    path = Path(text)
    if path.suffix.lower() not in FORMATS and not is_special(path):
        raise argparse.ArgumentTypeError(f"got {text}, expected a name that ends in {WRITTEN}")
    return new_file(text)


def new_results(text: str) -> Path:
    """A file of results that can be written, in a format that its name says."""
    try:
        end_of(text)
    except InvalidArgumentError:
        names = ", ".join(ENDS)
        raise argparse.ArgumentTypeError(
            f"got {text}, expected a name that ends in {names}"
        ) from None
    return new_file(text)


def new_picture(text: str) -> Path:
    """A picture that can be written."""
    return _ending(text, PICTURES)


def new_json(text: str) -> Path:
    """A JSON file that can be written; without an end of its own, or as plain text."""
    return _ending(text, ("", ".json", ".txt"))


def new_labels(text: str) -> Path:
    """A labels file that can be written."""
    return _ending(text, (".npz",))


def new_model(text: str) -> Path:
    """A model file that can be written; without an end of its own, or as one."""
    return _ending(text, ("", ".safetensors", ".st"))


def _ending(text: str, suffixes: Sequence[str]) -> Path:
    path = Path(text)
    if path.suffix.lower() not in suffixes and not is_special(path):
        names = ", ".join(suffix for suffix in suffixes if suffix)
        raise argparse.ArgumentTypeError(
            f"got {text}, expected a name that ends in {names}: "
            f"nothing is written as {path.suffix or 'a file without an end'}"
        )
    return new_file(text)


def new_folder(text: str) -> Path:
    """A folder that is there or can be made, and may be written."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"got {text}, which is no folder")
    here = Path(os.path.realpath(path))
    while not here.exists() and here != here.parent:
        here = here.parent
    if not here.is_dir() or not os.access(here, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"got {text}, but {here} may not be written")
    return path


def cluster_address(text: str) -> str:
    """Where a Ray cluster is: local, auto or HOST:PORT."""
    from pvnet.cluster.connection import check_address

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
