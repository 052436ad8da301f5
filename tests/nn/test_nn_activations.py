"""Gradients of the twin against finite differences: activations, arithmetic, uneven padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import pvnet
from pvnet.nn.frames import ACTIVATIONS

ACTS = [*sorted(set(ACTIVATIONS) - {"none"}), ("clamp", -0.3, None), ("leaky_relu", 0.2)]
CASES: dict[str, Callable[[Any, Any], Any]] = {
    **{f"act {a}": lambda g, x, a=a: g.act(x, a) for a in ACTS},
    "conv3d": lambda g, x: g.conv3d(x, 2, kernel=(2, 3, 3), padding=((0, 2), (1, 0)), act="gelu"),
    "max_pool": lambda g, x: g.max_pool(x, kernel=(2, 3, 2), padding=((0, 2), (0, 1))),
    "avg_pool": lambda g, x: g.avg_pool(x, kernel=(2, 3, 2), padding=((1, 2), (0, 1))),
    "avg_pool inside": lambda g, x: g.avg_pool(
        x, kernel=(2, 3, 2), padding=((1, 2), (0, 1)), count_include_pad=False
    ),
    "sub": lambda g, x: g.sub(x, g.global_pool(x), act="mish"),
    "div": lambda g, x: g.div(x, g.act(g.conv3d(x, 1, kernel=1), "sigmoid")),
    "scale": lambda g, x: g.scale(x, act="tanh"),
    "prelu": lambda g, x: g.prelu(x),
}


def network(case: str) -> pvnet.nn.Network:
    g = pvnet.Graph()
    x = g.input("frame", channels=2, height=4, width=3)
    g.output(CASES[case](g, x), name="out")
    torch.manual_seed(0)
    return pvnet.nn.Network(g).double()


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_finite_differences(case: str) -> None:
    net = network(case)
    # Distinct values: no maximum has two winners, and none lies at a bend.
    values = torch.randperm(2 * 3 * 4 * 3).double() / 20 - 1.87
    clip = values.reshape(1, 2, 3, 4, 3).requires_grad_()

    def run(clip: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return net({"frame": clip})["out"]

    assert torch.autograd.gradcheck(run, (clip, *net.parameters()), eps=1e-6, atol=1e-6)
