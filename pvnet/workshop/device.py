"""CuPy with a device that works, or the reason why not."""

from __future__ import annotations

import importlib
from typing import Any

from pvnet.distribution import install
from pvnet.errors import MissingPackageError, UnsupportedError

_INSTALL = f"Run {install('cupy13')} for CUDA 13, or {install('cupy12')} for CUDA 12."
# Of the CUDA runtime: what it says without a driver, with one that is too old, without a device.
_NO_DRIVER = (3, 35)
_NO_DEVICE = 100


def cupy(where: str) -> Any:
    """The module, once it has seen a device.

    Args:
        where: what needs it.

    Raises:
        MissingPackageError: CuPy is not installed.
        UnsupportedError: it cannot be loaded, or there is no driver or no device.
    """
    try:
        module: Any = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"[{where}] a package is missing: got {error}, expected CuPy. {_INSTALL}", name="cupy"
        ) from error
    except ImportError as error:  # of libraries of CUDA
        raise UnsupportedError(
            f"[{where}] CuPy cannot be loaded: got {_line(error)}, expected a CuPy for the CUDA of "
            f"this machine. {_INSTALL}"
        ) from error
    try:
        count = int(module.cuda.runtime.getDeviceCount())
    except module.cuda.runtime.CUDARuntimeError as error:
        if getattr(error, "status", None) == _NO_DEVICE:
            count = 0
        else:
            raise _no_driver(error, where) from error
    if count == 0:
        raise UnsupportedError(
            f"[{where}] there is no CUDA device: got 0 devices, expected at least 1. Use a machine "
            "with a GPU, or look at CUDA_VISIBLE_DEVICES."
        )
    return module


def _no_driver(error: Exception, where: str) -> UnsupportedError:
    if getattr(error, "status", None) in _NO_DRIVER:
        return UnsupportedError(
            f"[{where}] there is no driver for this CUDA: got {_line(error)}, expected a driver of "
            "NVIDIA at least as new as CuPy's CUDA. Install or update it, or use a machine with a "
            "GPU."
        )
    return UnsupportedError(
        f"[{where}] the CUDA device does not answer: got {_line(error)}, expected one that works. "
        "Look at nvidia-smi, and begin a new process."
    )


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
