"""pvnet: deep networks on live video, depth-parallel.

In one tick every stage of the network works on a different frame. So, given lanes enough, a tick
costs as much as the slowest stage, not as much as the whole depth. Start with `pvnet.Graph`,
`pvnet.compile` and `pvnet.load`; torch is imported only by `pvnet.ops`, `nn`, `models` and `train`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pvnet import distribution as _distribution
from pvnet.errors import PvnetError

if TYPE_CHECKING:
    from pvnet import errors, models, nn, ops, video
    from pvnet.distribution import get_cmake_dir, get_include
    from pvnet.graph import Graph
    from pvnet.onnx_import import from_onnx
    from pvnet.runtime.calibration.calibrate import calibrate
    from pvnet.runtime.compile import compile
    from pvnet.runtime.installation import info
    from pvnet.runtime.model import load, save
    from pvnet.runtime.plan import Plan
    from pvnet.runtime.stream import Stream

    __version__: str

_distribution.refuse_other(__path__[0])

# Name -> module it lives in; a module stands for itself. Nothing is imported before it is used.
_ATTRIBUTES = {
    "Graph": "pvnet.graph",
    "Plan": "pvnet.runtime",
    "Stream": "pvnet.runtime",
    "__version__": "pvnet._core",
    "calibrate": "pvnet.runtime",
    "compile": "pvnet.runtime",
    "from_onnx": "pvnet.onnx_import",
    "get_cmake_dir": "pvnet.distribution",
    "get_include": "pvnet.distribution",
    "info": "pvnet.runtime",
    "load": "pvnet.runtime",
    "save": "pvnet.runtime",
}
_MODULES = (
    "cluster",
    "data",
    "decode",
    "errors",
    "evaluate",
    "graph",
    "label",
    "models",
    "nn",
    "nvtx",
    "onnx_import",
    "ops",
    "results",
    "runtime",
    "train",
    "video",
    "viz",
    "workshop",
)

__all__ = [
    "Graph",
    "Plan",
    "PvnetError",
    "Stream",
    "__version__",
    "calibrate",
    "compile",
    "errors",
    "from_onnx",
    "get_cmake_dir",
    "get_include",
    "info",
    "load",
    "models",
    "nn",
    "ops",
    "save",
    "video",
]


class _NotInstalledError(PvnetError, AttributeError):
    """A module whose packages are not installed."""


if not TYPE_CHECKING:  # else every misspelt name would be of type Any

    def __getattr__(name: str) -> Any:
        if name in _ATTRIBUTES:
            value = getattr(importlib.import_module(_ATTRIBUTES[name]), name)
        elif name in _MODULES:
            try:
                value = importlib.import_module(f"pvnet.{name}")
            except _distribution.MissingPackageError as error:
                # `help(pvnet)` and completion at a prompt go on after an AttributeError only.
                raise _NotInstalledError(str(error)) from error
        else:
            raise AttributeError(f"module 'pvnet' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ATTRIBUTES, *_MODULES})
