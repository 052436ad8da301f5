"""Files that are written as a whole or not at all: what all of pvnet writes goes through here."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pvnet import _core
from pvnet.errors import FileError

AnyPath = str | os.PathLike[str]


@contextmanager
def whole_file(path: AnyPath, *, where: str = "files") -> Iterator[BinaryIO]:
    """A file to write bytes to; it replaces `path` when the block ends, unless it ends by an error.

    Whatever happens, `path` is the whole old file or the whole new one. Nothing else stays in the
    folder: what a killed process left there is removed when the same path is written again. A
    symbolic link stays, and what it points at is replaced. The permissions are those of the old
    file, or of any new one. A device or a pipe is written as it is.

    Args:
        path: of the file; its folder must exist.
        where: begins the message of an error.

    Raises:
        FileError: it cannot be written, or the disk is full; the old file is as it was.
    """
    if _is_special(path):
        with _told(path, where), Path(path).open("wb") as file:
            yield file
        return
    whole = _core.WholeFile(os.fsencode(path), where)
    try:
        with _told(path, where), os.fdopen(os.dup(whole.fileno()), "w+b") as file:
            yield file
        whole.commit()
    finally:
        whole.discard()


def write_whole(path: AnyPath, data: bytes | str, *, where: str = "files") -> None:
    """The file is the old one or the whole new one; text is written as UTF-8.

    Raises:
        FileError: as `whole_file`.
    """
    with whole_file(path, where=where) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_json(path: AnyPath, document: Any, *, where: str = "files") -> None:
    """A JSON document that people may read, whole.

    Raises:
        FileError: as `whole_file`.
    """
    write_whole(path, json.dumps(document, indent=1) + "\n", where=where)


def save_figure(figure: Any, path: AnyPath, **options: Any) -> None:
    """A figure of matplotlib, whole; the ending says the kind of picture.

    Raises:
        FileError: as `whole_file`.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix.removeprefix(".") or "png", **options)
    write_whole(path, buffer.getvalue(), where="draw")


def _is_special(path: AnyPath) -> bool:
    """Whether it is a device, a pipe or a socket."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:  # nothing there, or it is said when it is written
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def _told(path: AnyPath, where: str) -> Iterator[None]:
    """Errors of the system in pvnet's words."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"[{where}] '{os.fspath(path)}' cannot be written: got {reason(error)}, "
            "expected a path in a writable folder. Check the folder, its permissions and free "
            "space."
        ) from error


def reason(error: BaseException) -> str:
    """An error of the system in words: `No space left on device (ENOSPC)`."""
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and isinstance(number, int) and number in errno.errorcode:
        return f"{error.strerror or os.strerror(number)} ({errno.errorcode[number]})"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
