"""Networks of torchvision with seeded random weights; runs in the environment of the peers."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings

import torch
from torch import nn

MODULES = {"resnet18": "resnet", "resnet50": "resnet", "mobilenet_v2": "mobilenetv2"}


def make(name: str) -> nn.Module:
    """The network in eval mode, its batch norms not at their first values."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = getattr(_definitions(MODULES[name]), name)()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.05)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.05)
    return network.eval()


def _definitions(module: str) -> types.ModuleType:
    """torchvision.models.<module>; without the compiled operations where those do not load.

    They are built for one build of torch, CUDA's, and the networks do without them.
    """
    try:
        return importlib.import_module(f"torchvision.models.{module}")
    except (RuntimeError, OSError):
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        spec = importlib.util.find_spec("torchvision")
        face = types.ModuleType("torchvision")
        face.__path__ = list(getattr(spec, "submodule_search_locations", None) or [])
        sys.modules["torchvision"] = face
        return importlib.import_module(f"torchvision.models.{module}")
