"""from_torch: hand-written networks of the usual kinds compute the same, frame by frame."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pvnet.errors import InvalidArgumentError, UnsupportedError
from pvnet.nn import from_torch

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)


class Residual(nn.Module):
    def __init__(self, c, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out, eps=1e-3)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride > 1 or c != out:
            self.down = nn.Sequential(nn.Conv2d(c, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.down is None else self.down(x)
        return self.relu(y)


class ResNetish(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layers = nn.Sequential(Residual(8, 8, 1), Residual(8, 12, 2), Residual(12, 12, 1))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.layers(self.pool(self.stem(x)))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Inceptionish(nn.Module):
    """Branches, SiLU, squeeze-excite, nearest and bilinear upsampling, two outputs."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 1)
        self.b = nn.Sequential(
            nn.Conv2d(3, 4, 1), nn.SiLU(), nn.Conv2d(4, 6, (3, 1), padding="same")
        )
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(13, 13, 1), nn.Sigmoid())
        self.norm = nn.BatchNorm2d(13)
        self.low = nn.Conv2d(13, 4, 3, 2, 1, groups=1, dilation=1)
        self.head = nn.Conv2d(21, 2, 1)

    def forward(self, x):
        pooled = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        y = torch.cat([F.relu(self.a(x)), self.b(x), pooled], dim=1)
        y = self.norm(y * self.gate(y))
        low = self.low(y)
        near = F.interpolate(low, scale_factor=2)
        smooth = F.interpolate(low, size=tuple(y.shape[2:]), mode="bilinear")
        return self.head(torch.cat([y, near, smooth], 1)).softmax(1), low.mean((2, 3))


class VggIsh(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2, 2),
            nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(6 * 4 * 4, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 5), nn.Softmax(-1)
        )

    def forward(self, x):
        return self.classifier(self.features(x).contiguous().view(x.shape[0], -1))


class Shared(nn.Module):
    """One convolution read twice: nothing may be fused into it. And used twice: weights copied."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + F.relu(y) + self.conv(torch.sigmoid(y))


def randomise(module):
    g = torch.Generator().manual_seed(1)
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            for p in (m.weight, m.running_var):
                p.data.uniform_(0.5, 2, generator=g)
            for p in (m.bias, m.running_mean):
                p.data.uniform_(-1, 1, generator=g)
    return module


@pytest.mark.parametrize("kind", [ResNetish, Inceptionish, VggIsh, Shared])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_result_for_every_frame(kind, dtype):
    torch.manual_seed(0)
    module = randomise(kind()).to(dtype).train()
    clip = torch.randn(2, 3, 3, 16, 16, dtype=dtype)
    net = from_torch(module, clip[:, :, 0])
    assert module.training
    assert not net.training
    module.eval()
    found = list(net(clip).values())
    with torch.no_grad():
        for t in range(3):
            expected = module(clip[:, :, t])
            expected = expected if isinstance(expected, tuple) else (expected,)
            for y, e in zip(found, expected, strict=True):
                torch.testing.assert_close(y[:, :, t].reshape(e.shape), e)
    # Any wiring of the same weights: pipelined is the same, later.
    net.rewire("pipelined", stages=3)
    for before, after in zip(found, net(clip).values(), strict=True):
        torch.testing.assert_close(after[:, :, 2:], before[:, :, :1])


def test_names_follow_the_module_and_norm_is_folded():
    net = from_torch(randomise(ResNetish()), torch.randn(1, 3, 16, 16))
    names = {n.name: n for n in net.graph.nodes}
    assert "layers/1/down/0" in names
    assert names["stem/0"].attrs["act"] == "relu"
    assert names["stem/0"].attrs["norm"]
    assert sum(n.op == "conv3d" for n in names.values()) == 1 + 2 * 3 + 1
    assert not any(n.op == "act" for n in names.values())


class Video(nn.Module):
    def __init__(self, kt):
        super().__init__()
        self.conv = nn.Conv3d(2, 3, (kt, 3, 3), padding=(kt // 2, 1, 1))
        self.pool = nn.MaxPool3d((1, 2, 2))

    def forward(self, x):
        return self.pool(F.relu(self.conv(x))).mean((2, 3, 4))


def test_3d_networks_are_imported_with_causal_padding_only():
    torch.manual_seed(0)
    clip = torch.randn(1, 2, 5, 8, 8)
    for kt in (1, 3):
        with pytest.raises(UnsupportedError) as error:
            from_torch(Video(kt), clip)
        assert MESSAGE.match(str(error.value))
        assert "causal=True" in str(error.value)
    module = Video(1).eval()
    net = from_torch(module, clip, causal=True)
    torch.testing.assert_close(net(clip)["output"][:, :, -1], module(clip))
    module = Video(3).eval()
    y = from_torch(module, clip, causal=True).features(clip, ["conv"])["conv"]
    past = F.pad(clip, (0, 0, 0, 0, 2, 0))
    expected = F.relu(F.conv3d(past, module.conv.weight, module.conv.bias, padding=(0, 1, 1)))
    torch.testing.assert_close(y, expected)


class Hopeless(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LogSigmoid(), nn.PixelShuffle(2))
        self.pool = nn.MaxPool2d(2, dilation=2)

    def forward(self, x):
        return self.pool(self.block(x) + 1), x.cumsum(1)


def test_everything_unsupported_is_listed_with_its_module():
    with pytest.raises(UnsupportedError) as error:
        from_torch(Hopeless(), torch.randn(1, 3, 8, 8))
    text = str(error.value)
    assert MESSAGE.match(text)
    for part in ("log_sigmoid (in block.1)", "cumsum (in the top level)"):
        assert part in text
    with pytest.raises(UnsupportedError, match="dilated"):
        from_torch(nn.MaxPool2d(2, dilation=2), torch.randn(1, 3, 8, 8))


REFUSED = {
    "softmax over width": lambda x: x.softmax(3),
    "cat over height": lambda x: torch.cat([x, x], 2),
    "adaptive pooling": lambda x: F.adaptive_avg_pool2d(x, 4),
    "scale": lambda x: F.interpolate(x, scale_factor=1.3),
    "reshape": lambda x: x.reshape(1, -1, 7).transpose(1, 2),
    "weight is the input": lambda x: F.conv2d(x, x),
    "nothing": lambda x: torch.zeros(1),
    "control flow": lambda x: x if x.sum() > 0 else -x,
}


class Function(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return REFUSED[self.name](x)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_compute_something_else_is_refused(name):
    with pytest.raises(UnsupportedError) as error:
        from_torch(Function(name), torch.randn(1, 3, 7, 7))
    assert MESSAGE.match(str(error.value))


def test_example_must_be_a_batch():
    with pytest.raises(InvalidArgumentError) as error:
        from_torch(nn.ReLU(), torch.randn(3, 8, 8))
    assert MESSAGE.match(str(error.value))
