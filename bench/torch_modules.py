"""Par-DenseNet and Par-Inception, sequential, as one would write them with torch.nn modules.

No graph, no clocks, no wirings: the same networks with the same weights and nothing in the way.
Par-DenseNet works frame by frame and takes [b * t, 3, h, w]; Par-Inception takes [b, 3, t, h, w]
and pads the past with zeros. Modules are made in the order of the graph's nodes, so that weights
can be copied in order (`copy_weights`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvnet.models.common import scale_channels
from pvnet.models.par_densenet import BLOCKS, BOTTLENECK, GROWTH, HEAD, OUTPUT_STRIDE, STEM
from pvnet.models.par_inception import MIXED
from pvnet.nn import Network


class FrameConv(nn.Module):
    """A 2-D convolution, batch norm, ReLU."""

    def __init__(self, c: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c, out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)), inplace=True)


class DenseLayer(nn.Module):
    """1x1, then 3x3, over everything the block has made so far."""

    def __init__(self, c: int, width: float) -> None:
        super().__init__()
        middle = scale_channels(BOTTLENECK, width)
        self.reduce = FrameConv(c, middle, 1)
        self.grow = FrameConv(middle, scale_channels(GROWTH, width), 3)

    def forward(self, states: list[Tensor]) -> Tensor:
        x = states[0] if len(states) == 1 else torch.cat(states, dim=1)
        return self.grow(self.reduce(x))


class PlainDenseNet(nn.Module):
    """[n, 3, h, w] -> heatmaps [n, joints, h/4, w/4]."""

    def __init__(self, *, joints: int = 13, width: float = 1.0) -> None:
        super().__init__()
        growth = scale_channels(GROWTH, width)
        c, unscaled = scale_channels(STEM, width), STEM
        self.stem = FrameConv(3, c, 7, stride=2)
        self.blocks = nn.ModuleList()  # layers and transitions, in turn
        for index, layers in enumerate(BLOCKS):
            self.blocks.append(
                nn.ModuleList(DenseLayer(c + i * growth, width) for i in range(layers))
            )
            c += layers * growth
            unscaled += layers * GROWTH
            if index + 1 < len(BLOCKS):
                unscaled //= 2
                out = scale_channels(unscaled, width)
                self.blocks.append(nn.Sequential(FrameConv(c, out, 1), nn.AvgPool2d(2)))
                c = out
        self.head = FrameConv(len(BLOCKS) * growth, scale_channels(HEAD, width), 3)
        self.heatmaps = nn.Conv2d(scale_channels(HEAD, width), joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[2] // OUTPUT_STRIDE, x.shape[3] // OUTPUT_STRIDE)
        states = [F.max_pool2d(self.stem(x), 3, 2, 1)]
        maps = []
        for part in self.blocks:
            if isinstance(part, nn.Sequential):
                states = [part(torch.cat(states, dim=1))]
                continue
            for layer in part:
                states.append(layer(states))
            last = states[-1]
            if maps:
                last = F.interpolate(last, size=size, mode="bilinear", align_corners=False)
            maps.append(last)
        return self.heatmaps(self.head(torch.cat(maps, dim=1)))


class CausalConv(nn.Module):
    """A k x k x k convolution that reads the past only, batch norm, ReLU."""

    def __init__(self, c: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.past = kernel - 1
        pad = (0, kernel // 2, kernel // 2)
        self.conv = nn.Conv3d(c, out, kernel, (1, stride, stride), pad, bias=False)
        self.norm = nn.BatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(with_past(x, self.past))), inplace=True)


def with_past(x: Tensor, firings: int) -> Tensor:
    """x [b, c, t, h, w] after `firings` frames of zeros."""
    return F.pad(x, (0, 0, 0, 0, firings, 0)) if firings else x


class Mixed(nn.Module):
    """One Inception block."""

    def __init__(self, c: int, name: str, width: float) -> None:
        super().__init__()
        a, b1, b2, d1, d2, e = (scale_channels(out, width) for out in MIXED[name])
        self.branch0 = CausalConv(c, a, 1)
        self.branch1 = nn.Sequential(CausalConv(c, b1, 1), CausalConv(b1, b2, 3))
        self.branch2 = nn.Sequential(CausalConv(c, d1, 1), CausalConv(d1, d2, 3))
        self.branch3 = CausalConv(c, e, 1)
        self.out = a + b2 + d2 + e

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool3d(with_past(x, 2), 3, 1, (0, 1, 1))
        return torch.cat(
            [self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(pooled)], dim=1
        )


class PlainInception(nn.Module):
    """[b, 3, t, h, w] -> logits [b, classes, t]; the head averages space and two frames."""

    def __init__(self, *, classes: int = 200, width: float = 1.0) -> None:
        super().__init__()
        c = scale_channels(64, width)
        self.conv1a = CausalConv(3, c, 7, stride=2)
        self.conv2b = CausalConv(c, c, 1)
        self.conv2c = CausalConv(c, scale_channels(192, width), 3)
        c = scale_channels(192, width)
        self.mixed = nn.ModuleDict()
        for name in MIXED:
            block = Mixed(c, name, width)
            self.mixed[name] = block
            c = block.out
        self.logits = nn.Linear(c, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool3d(self.conv1a(x), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        x = self.conv2c(self.conv2b(x))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for name, block in self.mixed.items():
            if name == "mixed_4b":
                x = F.max_pool3d(with_past(x, 2), 3, (1, 2, 2), (0, 1, 1))
            elif name == "mixed_5b":
                x = F.max_pool3d(with_past(x, 1), 2, (1, 2, 2))
            x = block(x)
        x = F.avg_pool1d(F.pad(x.mean(dim=(3, 4)), (1, 0)), 2, 1)
        return self.logits(x.transpose(1, 2)).transpose(1, 2)


PLAIN: dict[str, type[nn.Module]] = {"par_densenet": PlainDenseNet, "par_inception": PlainInception}


def as_plain(name: str, x: Tensor) -> Tensor:
    """A clip or target [b, c, t, h, w] in the form that the plain network works on."""
    if name == "par_inception":
        return x
    return x.transpose(1, 2).flatten(0, 1)


def pairs(twin: Network, plain: nn.Module) -> list[tuple[str, nn.Parameter, nn.Parameter]]:
    """(key, parameter of the twin, the same one of the plain network)."""
    ours, theirs = list(twin.named_parameters()), list(plain.parameters())
    if [p.numel() for _, p in ours] != [p.numel() for p in theirs]:
        raise SystemExit("the plain network has other parameters than the twin")
    return [(key, p, q) for (key, p), q in zip(ours, theirs)]


@torch.no_grad()
def copy_weights(twin: Network, plain: nn.Module) -> None:
    """The weights of the twin; running statistics are those of new networks on both sides."""
    for _, ours, theirs in pairs(twin, plain):
        theirs.copy_(ours.view(theirs.shape))
