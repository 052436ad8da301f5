"""Locks between processes; where the system has no flock, nothing is held."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_held: set[int] = set()  # open files whose locks this process has


def _let_go() -> None:
    """In a forked child: a lock is held for as long as any process has the file open."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time; waits for the others.

    Args:
        path: a file to lock, made if it is not there, which stays.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with _open(path, os.O_WRONLY | os.O_CREAT) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def lock_if_free(folder: Path) -> Iterator[bool]:
    """Gives whether no other process has the folder locked; then this one has, until the end.

    No file stays behind, and a killed process holds nothing. Where a network file system refuses
    the lock of a folder, nothing is held, and the answer is yes.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    with _open(folder, os.O_RDONLY) as handle:
        free = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free = False
        except OSError:
            pass  # NFS takes no exclusive lock of what is open for reading
        yield free


@contextmanager
def _open(path: Path, how: int) -> Iterator[int]:
    handle = os.open(path, how, 0o666)
    _held.add(handle)
    try:
        yield handle
    finally:
        if handle in _held:  # not in a child
            _held.discard(handle)
            os.close(handle)
