"""from_torch: factors and summands in front of a convolution become part of it where they can."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from imported import check, ops, spread
from torch import nn


class Net(nn.Module):
    """Something between the frame and a convolution."""

    def __init__(self, between, conv: nn.Conv2d, after=lambda y, x: y) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.between, self.after = between, after
        self.conv = spread(conv)

    def forward(self, x):
        x = self.between(F.max_pool2d(x, 2))
        return self.after(self.conv(x), x)


PER_CHANNEL = torch.tensor([0.5, -2.0, 3.0, 1.5])[:, None, None]
FOLDED = {
    "a number": (lambda x: 3 * x, nn.Conv2d(4, 6, 3, padding=1)),
    "one per channel": (lambda x: x * PER_CHANNEL, nn.Conv2d(4, 6, 3, padding=1, bias=False)),
    "groups": (lambda x: x * PER_CHANNEL, nn.Conv2d(4, 6, 3, groups=2)),
    "depthwise": (lambda x: x * PER_CHANNEL, nn.Conv2d(4, 4, 3, padding=1, groups=4)),
    "a summand": (lambda x: (x - 0.4) / PER_CHANNEL, nn.Conv2d(4, 6, 3, bias=False)),
    "a summand, groups": (lambda x: x * 2 + PER_CHANNEL, nn.Conv2d(4, 6, 1, groups=2)),
}


@pytest.mark.parametrize("name", FOLDED)
def test_factors_in_front_of_a_convolution_are_in_its_weights(name):
    assert ops(check(Net(*FOLDED[name]), 4, 12, 12)) == ["max_pool", "conv3d"]


KEPT = {
    "a summand at an edge": (lambda x: x + 0.4, nn.Conv2d(4, 6, 3, padding=1)),
    "somebody else reads it": (lambda x: 3 * x, nn.Conv2d(4, 4, 1), lambda y, x: y + x),
    "an activation": (lambda x: F.relu(x - 0.1), nn.Conv2d(4, 6, 3)),
}


@pytest.mark.parametrize("name", KEPT)
def test_factors_stay_where_the_convolution_cannot_have_them(name):
    assert "scale" in ops(check(Net(*KEPT[name]), 4, 12, 12))


def test_selu_leaves_its_factor_to_the_next_convolution():
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.SELU(), nn.Conv2d(6, 5, 3, padding=1), nn.SELU())
    assert ops(check(spread(net), 4, 8, 8)) == ["conv3d", "conv3d", "scale"]
