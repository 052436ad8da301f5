"""Bodies of detectors, segmenters and pose networks as people write them, in our own words."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Unit(nn.Sequential):
    """Convolution, batch norm, SiLU."""

    def __init__(self, c: int, out: int, k: int = 1, s: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(c, out, k, s, k // 2, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out, eps=1e-3), nn.SiLU(inplace=True))


class Bottleneck(nn.Module):
    """Two units, and the way around them."""

    def __init__(self, c: int, out: int, *, around: bool = True, first: int = 3) -> None:
        super().__init__()
        self.one, self.two = Unit(c, out, first), Unit(out, out, 3)
        self.around = around and c == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(self.one(x))
        return x + y if self.around else y


class CrossStage(nn.Module):
    """Half of the channels pass by a row of bottlenecks."""

    def __init__(self, c: int, out: int, n: int = 1, *, around: bool = True) -> None:
        super().__init__()
        half = out // 2
        self.main, self.side, self.join = Unit(c, half), Unit(c, half), Unit(out, out)
        rows = [Bottleneck(half, half, around=around, first=1) for _ in range(n)]
        self.rows = nn.Sequential(*rows)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(torch.cat((self.rows(self.main(x)), self.side(x)), 1))


class SplitStage(nn.Module):
    """Chunks of channels; every bottleneck's result is kept and joined."""

    def __init__(self, c: int, out: int, n: int = 1, *, around: bool = True) -> None:
        super().__init__()
        self.half = out // 2
        self.wide = Unit(c, 2 * self.half)
        self.join = Unit((2 + n) * self.half, out)
        self.rows = nn.ModuleList(
            Bottleneck(self.half, self.half, around=around) for _ in range(n)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.wide(x).chunk(2, 1))
        for row in self.rows:
            parts.append(row(parts[-1]))
        return self.join(torch.cat(parts, 1))


class Pyramid(nn.Module):
    """Three poolings of one window after another, joined."""

    def __init__(self, c: int, out: int) -> None:
        super().__init__()
        self.narrow, self.join = Unit(c, c // 2), Unit(2 * c, out)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.narrow(x)]
        for _ in range(3):
            seen.append(self.pool(seen[-1]))
        return self.join(torch.cat(seen, 1))


class Neck(nn.Module):
    """From coarse to fine and back, over three scales."""

    def __init__(self, stage: type[nn.Module], widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.up = nn.Upsample(scale_factor=2)
        self.to_mid, self.to_fine = stage(b + c, b, around=False), stage(a + b, a, around=False)
        self.down_fine, self.down_mid = Unit(a, a, 3, 2), Unit(b, b, 3, 2)
        self.out_mid, self.out_low = stage(a + b, b, around=False), stage(b + c, c, around=False)

    def forward(self, fine: Tensor, mid: Tensor, low: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mid = self.to_mid(torch.cat([self.up(low), mid], 1))
        fine = self.to_fine(torch.cat([self.up(mid), fine], 1))
        middle = self.out_mid(torch.cat([self.down_fine(fine), mid], 1))
        return fine, middle, self.out_low(torch.cat([self.down_mid(middle), low], 1))


class _Detector(nn.Module):
    """Backbone and neck of one kind of stage; the heads are those of the subclass."""

    widths = (32, 48, 64)

    def __init__(self, stem: nn.Module, stage: type[nn.Module], last: nn.Module) -> None:
        super().__init__()
        a, b, c = self.widths
        self.stem = stem
        self.fine = nn.Sequential(stage(24, 24), Unit(24, a, 3, 2), stage(a, a, 2))
        self.mid = nn.Sequential(Unit(a, b, 3, 2), stage(b, b, 2))
        self.low = nn.Sequential(Unit(b, c, 3, 2), stage(c, c), last)
        self.neck = Neck(stage, self.widths)

    def scales(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(self.stem(x))
        mid = self.mid(fine)
        found: tuple[Tensor, Tensor, Tensor] = self.neck(fine, mid, self.low(mid))
        return found


class AnchorDetector(_Detector):
    """In the style of YOLOv5: anchors, one convolution a scale."""

    def __init__(self, classes: int = 4, anchors: int = 3) -> None:
        stem = nn.Sequential(nn.Conv2d(3, 16, 6, 2, 2, bias=False), nn.BatchNorm2d(16), nn.SiLU())
        stem.append(Unit(16, 24, 3, 2))
        super().__init__(stem, CrossStage, Pyramid(64, 64))
        self.heads = nn.ModuleList(nn.Conv2d(c, anchors * (5 + classes), 1) for c in self.widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [head(y).sigmoid() for head, y in zip(self.heads, self.scales(x), strict=True)]


class SplitDetector(_Detector):
    """In the style of YOLOv8: boxes as distributions, whose mean a fixed convolution takes."""

    def __init__(self, classes: int = 4, bins: int = 16) -> None:
        super().__init__(nn.Sequential(Unit(3, 16, 3, 2), Unit(16, 24, 3, 2)), SplitStage,
                         Pyramid(64, 64))  # fmt: skip
        self.boxes = nn.ModuleList(
            nn.Sequential(Unit(c, 32, 3), Unit(32, 32, 3), nn.Conv2d(32, 4 * bins, 1))
            for c in self.widths
        )
        self.names = nn.ModuleList(
            nn.Sequential(Unit(c, 32, 3), Unit(32, 32, 3), nn.Conv2d(32, classes, 1))
            for c in self.widths
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        scales = self.scales(x)
        heads = zip(self.boxes, self.names, scales, strict=True)
        return [torch.cat((box(y), name(y)), 1) for box, name, y in heads]


class Focus(nn.Module):
    """Every second pixel into channels, by slices."""

    def __init__(self, c: int, out: int) -> None:
        super().__init__()
        self.unit = Unit(4 * c, out, 3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x[..., ::2, ::2], x[..., ::2, 1::2]
        low_left, low_right = x[..., 1::2, ::2], x[..., 1::2, 1::2]
        return self.unit(torch.cat((left, low_left, right, low_right), dim=1))


def _two_units(c: int) -> nn.Module:
    return nn.Sequential(Unit(c, c, 3), Unit(c, c, 3))


class FocusDetector(_Detector):
    """In the style of YOLOX: no anchors, separate heads for class, box and object."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__(nn.Sequential(Focus(3, 16), Unit(16, 24, 3, 2)), CrossStage,
                         Pyramid(64, 64))  # fmt: skip
        self.stems = nn.ModuleList(Unit(c, 32) for c in self.widths)
        self.names = nn.ModuleList(_two_units(32) for _ in range(3))
        self.boxes = nn.ModuleList(_two_units(32) for _ in range(3))
        self.name_heads = nn.ModuleList(nn.Conv2d(32, classes, 1) for _ in range(3))
        self.box_heads = nn.ModuleList(nn.Conv2d(32, 4, 1) for _ in range(3))
        self.object_heads = nn.ModuleList(nn.Conv2d(32, 1, 1) for _ in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for i, y in enumerate(self.scales(x)):
            y = self.stems[i](y)
            box, name = self.boxes[i](y), self.name_heads[i](self.names[i](y))
            objects = self.object_heads[i](box).sigmoid()
            found.append(torch.cat([self.box_heads[i](box), objects, name.sigmoid()], 1))
        return found


class Twice(nn.Sequential):
    """Convolution, batch norm, ReLU, two times."""

    def __init__(self, c: int, out: int) -> None:
        super().__init__(
            nn.Conv2d(c, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        )  # fmt: skip


class UNet(nn.Module):
    """Down by pooling, up by transposed convolutions, padded to the size of what it joins."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        widths = (16, 24, 32, 48)
        self.first = Twice(3, widths[0])
        self.down = nn.ModuleList(Twice(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(widths))
        self.join = nn.ModuleList(Twice(2 * a, a) for a in widths[:-1])
        self.last = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.first(x)]
        for down in self.down:
            seen.append(down(F.max_pool2d(seen[-1], 2)))
        y = seen.pop()
        for up, join in reversed(list(zip(self.up, self.join, strict=True))):
            side = seen.pop()
            y = up(y)
            dy, dx = side.shape[2] - y.shape[2], side.shape[3] - y.shape[3]
            y = F.pad(y, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            y = join(torch.cat([side, y], dim=1))
        return self.last(y)


class Hourglass(nn.Module):
    """One scale down and up again around a smaller hourglass."""

    def __init__(self, c: int, depth: int) -> None:
        super().__init__()
        self.side, self.low1, self.low3 = Bottleneck(c, c), Bottleneck(c, c), Bottleneck(c, c)
        self.low2 = Hourglass(c, depth - 1) if depth > 1 else Bottleneck(c, c)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.side(x) + F.interpolate(low, scale_factor=2, mode="nearest")


class HourglassPose(nn.Module):
    """Two hourglasses, the second one told what the first one found; PReLU and leaky ReLU."""

    def __init__(self, joints: int = 13, c: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, 16, 7, 2), nn.BatchNorm2d(16), nn.PReLU(16),
            nn.MaxPool2d(2), nn.Conv2d(16, c, 3, padding=1), nn.LeakyReLU(0.1),
        )  # fmt: skip
        self.glasses = nn.ModuleList(Hourglass(c, 2) for _ in range(2))
        self.features = nn.ModuleList(Unit(c, c) for _ in range(2))
        self.heads = nn.ModuleList(nn.Conv2d(c, joints, 1) for _ in range(2))
        self.back, self.told = nn.Conv2d(c, c, 1), nn.Conv2d(joints, c, 1)
        self.fine = nn.Sequential(
            nn.ConvTranspose2d(c, c, 4, 2, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
            nn.Conv2d(c, joints, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stem(x)
        y = self.features[0](self.glasses[0](x))
        first = self.heads[0](y)
        x = x + self.back(y) + self.told(first)
        y = self.features[1](self.glasses[1](x))
        return first, self.heads[1](y), self.fine(y)
