"""Locks between processes, by the package filelock: nobody's when their holder has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pvnet.distribution import load


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Only one process at a time; waits for the others.

    Args:
        path: a file to lock, made if it is not there, which stays.
    """
    with load("filelock", "data").FileLock(path):
        yield


@contextmanager
def lock_if_free(folder: Path) -> Iterator[bool]:
    """Gives whether no other process has the folder locked; then this one has, until the end.

    A file `.lock` is in the folder for as long; of a killed process it stays and holds nothing.
    Where a file system refuses locks, nothing is held, and the answer is yes.
    """
    filelock = load("filelock", "data")
    file_lock = filelock.FileLock(folder / ".lock", timeout=0)
    with ExitStack() as held:
        free = True
        try:
            held.enter_context(file_lock)
            held.callback(_remove, file_lock)  # while it is held: who comes next makes a new one
        except filelock.Timeout:
            free = False
        except OSError:
            pass  # e.g. NFS without a lock server
        yield free


def _remove(lock: Any) -> None:
    if lock.is_locked:  # not in a forked child
        with suppress(OSError):
            Path(lock.lock_file).unlink()
