"""A network from whatever holds one: a model file, an ONNX file, a factory in Python."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

import pvnet
from pvnet import runtime
from pvnet.errors import FileError, InvalidArgumentError, UnsupportedError
from pvnet.graph import Graph
from pvnet.nn import Network, from_torch
from pvnet.runtime import Model
from pvnet.train.build import model_file

KINDS = "a .safetensors file of pvnet, an .onnx file, or module.py:factory"


def load_any(
    name: str,
    *,
    size: tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Model:
    """The network, wired as one sequential stage.

    Args:
        name: a model file of pvnet (or a shipped model), an ONNX file, or `module.py:factory`. The
            factory takes nothing and gives a torch module in eval mode, a Network, a Graph or a
            Model. A Graph gets random weights.
        size: (h, w) of the frames in pixels, for networks that do not say: torch modules (default
            224 x 224) and ONNX files without a fixed size.
        mean: subtracted from uint8 frames after their division by 255, per channel; None: as the
            network says.
        std: uint8 frames are divided by it after that.

    Raises:
        FileError: no such file, or nothing in it that can be read.
        UnsupportedError: the network has operations that pvnet has not.
        InvalidArgumentError: the name, or what the factory gives, is of no such kind.
    """
    path, _, factory = name.rpartition(":")
    if factory and path and not name.endswith((".safetensors", ".onnx")):
        made = _call(path, factory)
        model = _of_python(made, size or (224, 224), name)
    elif name.endswith(".onnx"):
        model = _of_onnx(name, size)
    else:
        model = _of_file(name)
    graph = _normalised(model.graph, {"mean": mean, "std": std})
    return Model(graph, model.weights, dict(model.metadata)).rewire("sequential", stages=1)


def _normalised(graph: Graph, told: dict[str, Sequence[float] | None]) -> Graph:
    """With the mean and std that were asked for, in place of those of the input node."""
    given = {k: [float(x) for x in v] for k, v in told.items() if v is not None}
    if not given:
        return graph
    document = json.loads(graph.to_json())
    for node in document["nodes"]:
        if node["op"] != "input":
            continue
        channels = next(n.shape[0] for n in graph.nodes if n.name == node["name"])
        for key, values in given.items():
            if len(values) not in (1, channels):
                raise InvalidArgumentError(
                    f"[parallelise] {key}: got {values}, expected a number for each of {channels} "
                    "channels. Correct it."
                )
            node["attrs"][key] = values * (channels // len(values))
    return Graph.from_json(json.dumps(document))


def _of_file(name: str) -> Model:
    if not name.endswith(".safetensors") and name not in pvnet.models.list_pretrained():
        raise InvalidArgumentError(
            f"[parallelise] this is no model: got {name!r}, expected {KINDS}. Correct the name."
        )
    return model_file(name)


def _of_onnx(name: str, size: tuple[int, int] | None) -> Model:
    reader = getattr(pvnet, "from_onnx", None)
    if reader is None:
        raise UnsupportedError(
            f"[parallelise] this version reads no ONNX: got {name!r}, expected {KINDS}. Load the "
            "network in torch and pass module.py:factory."
        )
    made = reader(name, size=size) if size is not None else reader(name)
    return runtime.model.to_model(made, "parallelise")


def _of_python(made: Any, size: tuple[int, int], name: str) -> Model:
    if isinstance(made, Graph):
        made = Network(made)
    if isinstance(made, nn.Module) and not isinstance(made, Network):
        made = from_torch(made, torch.zeros(1, 3, *size))
    if isinstance(made, Network | Model):
        return runtime.model.to_model(made, "parallelise")
    raise InvalidArgumentError(
        f"[parallelise] {name} gives no network: got {type(made).__name__}, expected a torch "
        "module, a pvnet.nn.Network, a pvnet.Graph or a Model. Return one of them."
    )


def _call(path: str, factory: str) -> Any:
    """What `factory()` of a Python file, or of an importable module, gives."""
    module = _module(path)
    function = getattr(module, factory, None)
    if not callable(function) or _needs_arguments(function):
        functions = [n for n, v in vars(module).items() if inspect.isfunction(v)]
        raise InvalidArgumentError(
            f"[parallelise] no factory {factory!r} in {path}: got functions {functions[:8]}, "
            "expected one of this name that takes no arguments. Correct the name."
        )
    return function()


def _needs_arguments(function: Any) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    usual = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(p.default is p.empty and p.kind not in usual for p in parameters)


def _module(path: str) -> ModuleType:
    if not path.endswith(".py"):
        try:
            return importlib.import_module(path)
        except ModuleNotFoundError as error:
            raise FileError(
                f"[parallelise] no such module: got {path!r} ({error}), expected the path of a "
                ".py file or an installed module. Correct it."
            ) from None
    file = Path(path)
    if not file.is_file():
        raise FileError(
            f"[parallelise] no such file: got {path!r}, expected a Python file with the factory. "
            "Check the path."
        )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Neighbours of the file can be imported, as if it had been run.
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module
