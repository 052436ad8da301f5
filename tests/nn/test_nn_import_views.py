"""from_torch: slices, shuffles, permutes and norms over channels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from imported import check, ops, spread
from torch import nn


def _shuffled(x, groups=2):
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).contiguous().view(b, c, h, w)


def _shuffled_by_hand(x, s=2):
    b, c, h, w = x.shape
    y = x.view(b, c // (s * s), s, s, h, w).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(b, c // (s * s), h * s, w * s)


def _last(x):
    return x.permute(0, 2, 3, 1)


def _halves(x):
    first, second = x.chunk(2, 1)
    return F.relu(first) * second.sigmoid()


def _focus(x):
    corners = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
    return torch.cat(corners, 1)


VIEWS = {
    "slice": (lambda x: x[:, 1:5], ["channel_select"]),
    "narrow": (lambda x: x.narrow(1, 2, 3), ["channel_select"]),
    "one channel": (lambda x: x[:, 3].unsqueeze(1), ["channel_select"]),
    "chosen": (lambda x: x.index_select(1, torch.tensor([4, 0])), ["channel_select"]),
    "flip": (lambda x: x.flip(1), ["channel_select"]),
    "chunk": (_halves, ["channel_select", "act", "channel_select", "act", "mul"]),
    "split": (lambda x: torch.cat(x.split([2, 6], 1)[::-1], 1), ["channel_select"]),
    "channel shuffle by hand": (_shuffled, ["channel_select"]),
    "channel shuffle": (lambda x: F.channel_shuffle(x, 4), ["channel_select"]),
    "shuffle and part": (lambda x: _shuffled(x).chunk(2, 1)[1], ["channel_select"]),
    "pixel shuffle": (lambda x: F.pixel_shuffle(x, 2), ["depth_to_space"]),
    "pixel shuffle by hand": (_shuffled_by_hand, ["depth_to_space"]),
    "pixel unshuffle": (lambda x: F.pixel_unshuffle(x, 2), ["space_to_depth"]),
    "focus": (_focus, ["space_to_depth", "channel_select"]),
    "every second pixel": (lambda x: x[:, :, ::2, ::2], ["max_pool"]),
    "odd pixels": (lambda x: x[:, :, 1::2, 1::2], ["space_to_depth", "channel_select"]),
    "crop": (lambda x: x[:, :, 1:5, 2:-1], ["pad"]),
    "crop of a part": (lambda x: x[:, 2:4, 1:5], ["channel_select", "pad"]),
    "there and back": (lambda x: _last(x).contiguous().tanh().permute(0, 3, 1, 2), ["act"]),
    "repeated pixels": (lambda x: x.repeat_interleave(2, 2).repeat_interleave(3, 3), ["upsample"]),
    "the same twice": (lambda x: torch.cat([x, x], 1), ["concat"]),
    "softmax of the last": (lambda x: _last(x).softmax(-1).permute(0, 3, 1, 2), ["act"]),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views_become_few_nodes(name):
    function, expected = VIEWS[name]
    assert ops(check(function, 8, 6, 4)) == expected


class Shuffles(nn.Module):
    """Channels change places in front of convolutions."""

    def __init__(self, *, twice):
        super().__init__()
        self.one, self.two, self.twice = nn.Conv2d(8, 4, 3), nn.Conv2d(8, 4, 3), twice

    def forward(self, x):
        y = _shuffled(x)
        return self.one(y) + self.two(y) if self.twice else self.one(y)


def test_convolutions_take_channels_in_any_order():
    assert ops(check(spread(Shuffles(twice=False)), 8, 6, 4)) == ["conv3d"]
    several = ["channel_select", "conv3d", "conv3d", "add"]
    assert ops(check(spread(Shuffles(twice=True)), 8, 6, 4)) == several
    part = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
    part[0].forward = lambda x: nn.Conv2d.forward(part[0], x[:, :3])
    assert ops(check(spread(part), 5, 6, 4)) == ["channel_select", "conv3d", "conv3d"]


class Block(nn.Module):
    """Depthwise, norm and two linear layers over channels that lie last, then a layer scale."""

    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.norm = nn.LayerNorm(c)
        self.wide, self.back = nn.Linear(c, 3 * c), nn.Linear(3 * c, c)
        self.gamma = nn.Parameter(torch.ones(c))

    def forward(self, x):
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.back(F.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


def test_layers_over_channels_that_lie_last():
    net = check(spread(Block(6)), 6, 5, 4)
    assert ops(net) == ["conv3d", "layer_norm", "conv3d", "conv3d", "add"]
    assert [n.attrs["act"] for n in net.graph.nodes if n.op == "conv3d"] == ["none", "gelu", "none"]


class Tokens(nn.Module):
    """Pixels in one row, as attention networks have them, without attention."""

    def __init__(self, c):
        super().__init__()
        self.norm, self.up = nn.LayerNorm(c), nn.Linear(c, 5)

    def forward(self, x):
        y = x.flatten(2).transpose(1, 2)
        y = y + self.norm(y)
        return self.up(y).mean(1)


def test_rows_of_pixels():
    net = check(spread(Tokens(6)), 6, 5, 4)
    assert ops(net) == ["layer_norm", "add", "conv3d", "global_pool"]


NORMS = {
    "group": (lambda: nn.GroupNorm(2, 6), 6),
    "group without weights": (lambda: nn.GroupNorm(3, 6, affine=False), 6),
    "instance": (lambda: nn.InstanceNorm2d(6, affine=True), 6),
    "instance without weights": (lambda: nn.InstanceNorm2d(6), 6),
    "layer over maps": (lambda: nn.LayerNorm([6, 5, 4], elementwise_affine=False), 6),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_of_the_map_itself(name):
    make, c = NORMS[name]
    assert ops(check(spread(make()), c, 5, 4)) == ["group_norm"]
    assert ops(check(nn.Sequential(spread(make()), nn.ReLU()), c, 5, 4)) == ["group_norm"]


class LastFlatten(nn.Module):
    """A linear layer that reads pixels first and channels last."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6 * 5 * 4, 3)

    def forward(self, x):
        return self.fc(x.permute(0, 2, 3, 1).reshape(x.shape[0], -1))


def test_flattened_in_another_order():
    assert ops(check(spread(LastFlatten()), 6, 5, 4)) == ["linear"]
    head = nn.Sequential(nn.Conv2d(6, 2, 1), nn.Flatten(), nn.Linear(40, 3), nn.Tanh())
    assert ops(check(spread(head), 6, 5, 4)) == ["conv3d", "linear"]


class Eca(nn.Module):
    """A 1D convolution over pooled channels as a gate."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x):
        y = x.mean((2, 3)).view(x.shape[0], 1, -1)
        return x * self.conv(y).sigmoid().view(x.shape[0], -1, 1, 1)


def test_convolution_over_pooled_channels():
    assert ops(check(spread(Eca()), 6, 5, 4)) == ["global_pool", "linear", "mul"]


class Standardised(nn.Module):
    """A convolution whose weights are normalised when it runs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 3, 3, 3))
        self.gain = nn.Parameter(torch.ones(4, 1, 1, 1))

    def forward(self, x):
        flat = self.weight.reshape(1, 4, -1)
        w = F.batch_norm(flat, None, None, self.gain.view(-1), training=True).view_as(self.weight)
        return F.conv2d(x, w)


def test_weights_that_are_computed_are_computed_once():
    assert ops(check(spread(Standardised()), 3, 5, 4)) == ["conv3d"]
