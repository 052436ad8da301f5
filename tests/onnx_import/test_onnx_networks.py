"""Small networks in the style of well-known ones, as torch exports them, equal ONNX Runtime."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

pytest.importorskip("onnxruntime")
import onnx_models as om


class Residual(nn.Module):
    """ResNet: a stem with a pool, a block with a shortcut, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.a = nn.Sequential(
            nn.Conv2d(8, 12, 3, 2, 1),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 12, 3, 1, 1),
            nn.BatchNorm2d(12),
        )
        self.short = nn.Conv2d(8, 12, 1, 2)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(self.a(x) + self.short(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)).softmax(1)


class Mobile(nn.Module):
    """MobileNet 3: depthwise, squeeze and excite, hard activations."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16), nn.Hardswish())
        self.depth = nn.Sequential(
            nn.Conv2d(16, 16, 5, 2, 2, groups=16), nn.BatchNorm2d(16), nn.ReLU6()
        )
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.down = nn.Conv2d(16, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depth(self.up((x - 0.5) / 0.25))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1))))
        return self.down(x * F.hardsigmoid(gate))


class Shuffled(nn.Module):
    """ShuffleNet 2: halves of the channels, shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.branch = nn.Sequential(
            nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1, groups=4)
        )

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.stem(x).chunk(2, 1)
        x = torch.cat((a, self.branch(b)), 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)


class Pyramid(nn.Module):
    """A detector's body: pooled at several sizes, split, upsampled, with outputs of two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(12, 16, 3, padding=1), nn.SiLU())
        self.down = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.SiLU())
        self.mix = nn.Conv2d(64, 16, 1)
        self.out = nn.ModuleList([nn.Conv2d(24, 6, 1), nn.Conv2d(16, 6, 1)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat(
            [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1
        )
        a = self.stem(x)
        b = self.down(a)
        p = F.max_pool2d(b, 5, 1, 2)
        q = F.max_pool2d(p, 5, 1, 2)
        b = F.silu(self.mix(torch.cat([b, p, q, F.max_pool2d(q, 5, 1, 2)], 1)))
        up = F.interpolate(b, scale_factor=2, mode="nearest")
        return self.out[0](torch.cat([a.chunk(2, 1)[0], up], 1)), self.out[1](b)


class Segmenting(nn.Module):
    """A U-Net with both ways up, group norms and a layer norm of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.GELU()
        )
        self.b = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.LeakyReLU(0.1))
        self.norm, self.wide = nn.LayerNorm(16), nn.Linear(16, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.end = nn.Conv2d(24, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(a)
        b = b + self.wide(self.norm(b.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        smooth = F.interpolate(b, size=a.shape[-2:], mode="bilinear", align_corners=True)
        return F.pixel_shuffle(self.end(torch.cat([self.up(b) * a, smooth], 1)), 2)


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("kind", [Residual, Mobile, Shuffled, Pyramid, Segmenting])
def test_a_network_that_torch_exports(kind: type[nn.Module], opset: int) -> None:
    torch.manual_seed(3)
    frame = torch.randn(1, 3, 24, 32)
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            kind().eval(), (frame,), file, opset_version=opset, dynamo=False, input_names=["image"],
            dynamic_axes={"image": {0: "n", 2: "h", 3: "w"}} if kind is not Segmenting else None,
        )  # fmt: skip
    data = file.getvalue()
    expected = om.theirs(data, frame.numpy())
    for backend in ("ref", "cpu"):
        got = list(om.ours(data, frame[0].numpy(), backend=backend, size=(24, 32)).values())
        assert len(got) == len(expected)
        for a, b in zip(got, expected):
            assert om.difference(a, b) < 2e-5
    assert np.ptp(expected[0]) > 0
