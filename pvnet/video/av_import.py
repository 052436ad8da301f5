"""PyAV, imported when a file or a camera is first opened."""

from __future__ import annotations

import importlib
from typing import Any

from pvnet.distribution import install
from pvnet.errors import MissingPackageError


def load_av() -> Any:
    """The module `av`.

    Raises:
        MissingPackageError: if PyAV is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingPackageError(
            f"[video] reading and writing video needs PyAV: got {error}, expected the package av. "
            f"Run {install('video')}.",
            name="av",
        ) from error


def one_thread(av: Any) -> dict[str, int]:
    """What a conversion of pictures is told, so that it stays on the thread that asks for it."""
    asked = av.video.reformatter.VideoReformatter.reformat.__doc__ or ""
    return {"threads": 1} if "threads" in asked else {}  # older ones have no other threads


def broken(av: Any) -> tuple[type[Exception], ...]:
    """What reading a damaged file may raise.

    Most of FFmpeg's errors are also one of Python's, by their number: not always `OSError`. A
    stream that no decoder knows has no `width` (AttributeError); a header may ask for more memory
    than there is.
    """
    return (av.FFmpegError, OSError, ValueError, EOFError, LookupError, AttributeError, MemoryError)
