"""Imports a module and compares it with torch: the twin and the CPU backend, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

import pvnet
from pvnet.nn import Network, from_torch


class Function(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """What the function returns."""
        return self.function(x)


def spread(module: nn.Module) -> nn.Module:
    """The module with every parameter and statistic drawn anew, factors and variances above 0."""
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(-0.8, 0.8, generator=g)
        for m in module.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None:
                m.running_mean.uniform_(-1, 1, generator=g)
                m.running_var.uniform_(0.5, 2, generator=g)
    return module.eval()


def check(module: nn.Module | Callable[[Tensor], Tensor], *shape: int, batch: int = 2) -> Network:
    """Imports what takes [b, *shape] and returns one tensor; asserts that it computes the same."""
    if not isinstance(module, nn.Module):
        module = Function(module)
    g = torch.Generator().manual_seed(0)
    clip = torch.randn(batch, shape[0], 2, *shape[1:], generator=g) * 2
    net = from_torch(module.eval(), clip[:, :, 0])
    stream = pvnet.compile(net, batch=batch).stream()
    twin = net(clip)["output"]
    for t in range(2):
        with torch.no_grad():
            expected = module(clip[:, :, t])
        torch.testing.assert_close(twin[:, :, t].reshape(expected.shape), expected)
        frame = np.ascontiguousarray(clip[:, :, t].numpy())
        found = torch.as_tensor(np.array(stream.tick(frame).outputs["output"]))
        torch.testing.assert_close(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    return net


def ops(net: Network) -> list[str]:
    """Operations of the graph behind the input, in order."""
    return [node.op for node in net.graph.nodes if node.op != "input"]
