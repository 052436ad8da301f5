"""PyAV, imported when a file or a camera is first opened."""

from __future__ import annotations

import importlib
from typing import Any

from pvnet.errors import UnsupportedError


def load_av() -> Any:
    """The module `av`.

    Raises:
        UnsupportedError: if PyAV is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise UnsupportedError(
            f"[video] reading and writing video needs PyAV: got {error}, expected the package av. "
            'Run pip install "pvnet[video]".'
        ) from error
