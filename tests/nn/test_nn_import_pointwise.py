"""from_torch: activations and arithmetic compute the same, within what stands in front of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from imported import check, ops, spread
from torch import nn

ACTIVATIONS = {
    "relu6": F.relu6,
    "relu6 in place": lambda x: F.relu6(x + 0, inplace=True),
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 0.7),
    "clamp": lambda x: x.clamp(-0.5, 0.7),
    "clamp below": lambda x: x.clamp(min=-0.5),
    "clamp above": lambda x: torch.clamp_max(x, 0.5),
    "leaky relu": lambda x: F.leaky_relu(x, 0.1),
    "rrelu": lambda x: F.rrelu(x, 0.1, 0.3),
    "elu": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "celu": F.celu,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "mish": F.mish,
    "silu": F.silu,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_alone_and_behind_a_convolution(name):
    act = ACTIVATIONS[name]
    check(lambda x: act(x * 1.5), 3, 5, 4)
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv

        def forward(self, x):
            return act(self.conv(x))

    net = check(Net(), 3, 5, 4)
    assert ops(net) == (["conv3d", "scale"] if name == "selu" else ["conv3d"])


@pytest.mark.parametrize("slopes", [1, 3])
def test_prelu_has_one_slope_or_one_per_channel(slopes):
    net = check(spread(nn.PReLU(slopes)), 3, 5, 4)
    assert ops(net) == ["prelu"]


ARITHMETIC = {
    "number": (lambda x: x + 1, ["scale"]),
    "number in front": (lambda x: 1 - x, ["scale"]),
    "two numbers": (lambda x: (x - 0.4) / 0.2, ["scale"]),
    "factor": (lambda x: 3 * x * 2, ["scale"]),
    "ones": (lambda x: x + torch.ones_like(x) * x.new_full((1,), 2.0), ["scale"]),
    "negative": (lambda x: -x, ["scale"]),
    "alpha": (lambda x: torch.sub(x, 0.5, alpha=3), ["scale"]),
    "alpha in front": (lambda x: torch.rsub(x, 2, alpha=3), ["scale"]),
    "sub": (lambda x: x - x.sigmoid(), ["act", "sub"]),
    "div": (lambda x: x / (1 + x.sigmoid()), ["act", "scale", "div"]),
    "square": (lambda x: x**2, ["mul"]),
    "per pixel": (lambda x: x * x.mean(1, keepdim=True), ["conv3d", "mul"]),
    "excite": (lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), ["global_pool", "act", "mul"]),
    "the other way": (lambda x: x.mean((2, 3), keepdim=True) - x, ["global_pool", "sub"]),
    "expanded": (
        lambda x: x * x.mean((2, 3)).view(2, 3, 1, 1).expand_as(x), ["global_pool", "mul"],
    ),
    "outer": (
        lambda x: x.mean(2, keepdim=True) * x.mean(3, keepdim=True),
        ["avg_pool", "avg_pool", "upsample", "upsample", "mul"],
    ),
    "one number a frame": (lambda x: x * x.mean((1, 2, 3), keepdim=True), None),
    "channels last": (
        lambda x: (x.permute(0, 2, 3, 1) * x.mean((2, 3))[:, None, None, :]).permute(0, 3, 1, 2),
        ["global_pool", "mul"],
    ),
    "flattened": (lambda x: x.flatten(2).transpose(1, 2).tanh().mean(1), ["act", "global_pool"]),
    "sum": (lambda x: x.sum((2, 3)), ["global_pool", "scale"]),
    "means of a part": (lambda x: x[:, 1:].mean((2, 3)), ["channel_select", "global_pool"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name):
    function, expected = ARITHMETIC[name]
    net = check(function, 3, 5, 4)
    assert expected is None or ops(net) == expected


class Scaled(nn.Module):
    """(x - mean) / std, and a factor per channel behind convolutions with and without a norm."""

    def __init__(self, *, norm):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.3])[:, None, None])
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.4])[None, :, None, None])
        self.conv = nn.Conv2d(3, 4, 3, bias=not norm)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.gamma = nn.Parameter(torch.ones(4))
        self.shift = nn.Parameter(torch.ones(1, 4, 1, 1))

    def forward(self, x):
        y = self.norm(self.conv((x - self.mean) / self.std))
        return F.relu(y * self.gamma.reshape(1, -1, 1, 1) + self.shift)


@pytest.mark.parametrize("norm", [False, True])
def test_constants_per_channel_become_weights(norm):
    net = check(spread(Scaled(norm=norm)), 3, 5, 4)
    assert ops(net) == ["conv3d"]


class Gated(nn.Module):
    """SiLU and hard swish by hand."""

    def __init__(self, *, seen=False):
        super().__init__()
        self.one, self.two, self.seen = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), seen

    def forward(self, x):
        y = self.one(x)
        z = y * torch.sigmoid(y)
        y = self.two(z)
        gate = F.hardsigmoid(y)
        return gate * y + gate if self.seen else gate * y


def test_a_map_times_its_sigmoid_is_one_activation():
    assert ops(check(spread(Gated()), 3, 5, 4)) == ["conv3d", "conv3d"]
    net = check(spread(Gated(seen=True)), 3, 5, 4)
    assert ops(net) == ["conv3d", "conv3d", "act", "mul", "add"]
    assert ops(check(lambda x: x.sigmoid() * x, 3, 5, 4)) == ["act"]
    assert ops(check(lambda x: x.sigmoid() * x.relu(), 3, 5, 4)) == ["act", "act", "mul"]


def test_what_others_read_is_not_changed():
    def function(x):
        y = F.avg_pool2d(x, 1) * 2
        return F.relu(y) + y * 3 - y.clamp(0, 1)

    check(function, 3, 5, 4)

    def views(x):
        y = x * 2
        part, flat = y[:, :2], y.flatten(2)
        return torch.cat([part.tanh(), flat.relu().view(2, 3, 5, 4)], 1)

    check(views, 3, 5, 4)
