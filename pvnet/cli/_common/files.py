"""Files that commands write: complete or not at all, and never over what is read."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from pvnet.cli._common.report import UsageError
from pvnet.video.folder import IMAGE_SUFFIXES
from pvnet.video.formats import is_special

# Arguments that name what a command writes; all others may name what it reads.
_OUTPUTS = ("out", "save", "picture", "graph_json", "draw", "command")
_LISTS = {".m3u8", ".m3u", ".ffconcat", ".ffcat"}
_LONGEST_LIST_BYTES = 1 << 20


def refuse_overwriting(args: argparse.Namespace, written: Iterable[Path] | None = None) -> None:
    """Refuse an output that is one of the inputs, by whatever name, or another output.

    Args:
        args: every path among them that is no output counts as read: files, the images of a
            folder, the files of a playlist.
        written: what is written; None: the arguments that say so.

    Raises:
        UsageError: naming both.
    """
    values = vars(args)
    outputs = [values[name] for name in _OUTPUTS if isinstance(values.get(name), Path)]
    if written is not None:
        outputs = list(written)
    inputs = [
        path
        for name, value in values.items()
        if name not in _OUTPUTS
        for item in (value if isinstance(value, list | tuple) else [value])
        for path in _named(item)
    ]
    for number, output in enumerate(outputs):
        for other in outputs[:number]:
            if os.path.realpath(output) == os.path.realpath(other):
                raise UsageError(f"{output} would be written twice: choose two names")
        if output.exists() and not is_special(output):
            for path in inputs:
                read = _reads(path, output)
                if read is not None:
                    raise UsageError(
                        f"{output} would be written over the input {read}: choose another name"
                    )


def _named(value: object) -> list[Path]:
    """The files or folders that an argument may mean, if they are there."""
    if not isinstance(value, str | Path) or not str(value):
        return []
    text = str(value)
    texts = [text, text.partition("=")[2].strip("'\""), without_scheme(text)]  # key=value
    found = []
    for one in filter(None, texts):
        with contextlib.suppress(OSError, ValueError):
            if Path(one).exists():
                found.append(Path(one))
    return found


def without_scheme(text: str) -> str:
    """The path of a file that is named as FFmpeg takes it: `file:clip.mp4`."""
    if text.startswith("file://"):
        return unquote(text.removeprefix("file://"))
    return text.removeprefix("file:")


def _reads(source: Path, output: Path) -> Path | None:
    """What of an input is the very file of the output, by another name or link."""
    with contextlib.suppress(OSError):
        if source.is_dir():
            return _same_in_folder(source, output)
        if source.samefile(output):
            return source
        if source.suffix.lower() in _LISTS and source.stat().st_size <= _LONGEST_LIST_BYTES:
            for entry in _entries(source):
                if entry.exists() and entry.samefile(output):
                    return entry
    return None


def _same_in_folder(folder: Path, output: Path) -> Path | None:
    """The image of a folder, or below it, that is the output."""
    wanted = output.stat()
    inside = Path(os.path.realpath(output)).is_relative_to(os.path.realpath(folder))
    if inside and output.suffix.lower() in IMAGE_SUFFIXES:
        return output
    if wanted.st_nlink < 2:
        return None
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and os.path.samestat(path.stat(), wanted):
                return path
    return None


def _entries(playlist: Path) -> Iterator[Path]:
    """The files that a playlist names."""
    for line in playlist.read_text(errors="replace").splitlines():
        words = line.strip().removeprefix("file ").strip().strip("'\"")
        if words and not words.startswith("#"):
            yield playlist.parent / words.removeprefix("file://")
