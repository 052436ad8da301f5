"""What goes wrong in processes that read clips, told as if it had happened here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pvnet.errors import PvnetError, StateError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors of pvnet without the trace that a worker of torch's loader wraps them in.

    Raises:
        StateError: a process that reads clips has ended.
    """
    try:
        yield
    except PvnetError as error:
        kind = type(error)
        text = str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()
        if text == str(error):
            raise
        raise kind(text) from None
    except RuntimeError as error:
        # Said by the loader, or at any moment by its handler of SIGCHLD.
        if not str(error).startswith("DataLoader worker"):
            raise
        raise StateError(
            f"[data.loader] a process that reads clips has ended: got {error}, expected it to "
            "live. Use fewer data.workers if memory ran out; run again to go on."
        ) from error
