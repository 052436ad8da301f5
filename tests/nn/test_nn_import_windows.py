"""from_torch: padding, pooling, resizing and transposed convolutions."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from imported import check, ops, spread
from torch import nn

PADS = {
    "asymmetric": (nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, 2), ["conv3d"]),
    "beside its own": (nn.ZeroPad2d((2, 1, 0, 1)), nn.Conv2d(3, 4, 3, padding=1), ["conv3d"]),
    "another value": (nn.ConstantPad2d(1, 0.5), nn.Conv2d(3, 4, 3), ["pad", "conv3d"]),
    "reflect": (nn.ReflectionPad2d((1, 2, 2, 1)), nn.Conv2d(3, 4, 3), ["pad", "conv3d"]),
    "replicate": (nn.ReplicationPad2d((1, 2, 3, 0)), nn.Conv2d(3, 4, 3), ["pad", "conv3d"]),
    "same, even": (nn.Identity(), nn.Conv2d(3, 4, 4, padding="same"), ["conv3d"]),
    "reflecting convolution": (
        nn.Identity(), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), ["pad", "conv3d"],
    ),
    "crop": (nn.ZeroPad2d((-1, 0, 0, -2)), nn.Conv2d(3, 4, 3), ["pad", "conv3d"]),
    "one side in, one out": (nn.ZeroPad2d((-1, 2, 1, -1)), nn.Conv2d(3, 4, 3), ["pad", "conv3d"]),
    "in front of the mean": (nn.ZeroPad2d((0, 1, 1, 0)), nn.AvgPool2d(3, 2), ["avg_pool"]),
    "in front of the largest": (nn.ZeroPad2d(1), nn.MaxPool2d(3, 2), ["pad", "max_pool"]),
    "lowest": (
        nn.ConstantPad2d((0, 1, 0, 1), float("-inf")), nn.MaxPool2d(3, 2), ["max_pool"],
    ),
    "lowest, large": (
        nn.ConstantPad2d(2, float("-inf")), nn.MaxPool2d(3, 2), ["pad", "max_pool"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PADS)
def test_padding_goes_into_the_reader_where_it_may(name):
    pad, reader, expected = PADS[name]
    assert ops(check(nn.Sequential(pad, spread(reader)), 3, 7, 8)) == expected


def test_padding_that_two_read_stays():
    def function(x):
        y = F.pad(x, (1, 0, 1, 0))
        return F.avg_pool2d(y, 2, 2) + F.max_pool2d(y, 2, 2)

    assert ops(check(function, 3, 7, 7)) == ["pad", "avg_pool", "max_pool", "add"]


def test_channels_of_zeros():
    net = check(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)), 3, 7, 8)
    assert ops(net) == ["max_pool", "conv3d"]


@pytest.mark.parametrize("size", [(7, 8), (8, 10), (9, 11)])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 3, 1)])
def test_ceil_mode_and_its_divisors(size, window):
    kernel, stride, padding = window
    check(nn.MaxPool2d(kernel, stride, padding, ceil_mode=True), 3, *size)
    for counted in (True, False):
        check(nn.AvgPool2d(kernel, stride, padding, True, counted), 3, *size)


POOLS = {
    "divisor": (nn.AvgPool2d(3, 2, divisor_override=5), ["avg_pool", "scale"]),
    "same size": (nn.AdaptiveAvgPool2d((6, 8)), []),
    "equal bins": (nn.AdaptiveAvgPool2d((3, 2)), ["avg_pool"]),
    "rows": (nn.AdaptiveAvgPool2d((None, 1)), ["avg_pool"]),
    "largest": (nn.AdaptiveMaxPool2d(1), ["max_pool"]),
    "largest of bins": (nn.AdaptiveMaxPool2d((2, 4)), ["max_pool"]),
    "amax": (lambda x: x.amax((2, 3)), ["max_pool"]),
    "largest of rows": (lambda x: x.max(2).values, ["max_pool"]),
    "mean of rows": (lambda x: x.mean(2), ["avg_pool"]),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools(name):
    module, expected = POOLS[name]
    if not expected:
        module, expected = nn.Sequential(module, nn.ReLU()), ["act"]
    assert ops(check(module, 3, 6, 8)) == expected


SIZES = {
    "scale": nn.Upsample(scale_factor=2),
    "scale of half": nn.Upsample(scale_factor=1.5, mode="bilinear"),
    "two scales": nn.Upsample(scale_factor=(2, 3), mode="bilinear"),
    "corners": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    "corners of a size": nn.Upsample(size=(9, 5), mode="bilinear", align_corners=True),
    "exact": nn.Upsample(scale_factor=2, mode="nearest-exact"),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    assert ops(check(SIZES[name], 3, 6, 4)) == ["upsample"]


TRANSPOSED = {
    "2 by 2": ({"kernel_size": 2, "stride": 2}, ["conv3d", "depth_to_space"]),
    "4 by 2": ({"kernel_size": 4, "stride": 2, "padding": 1}, None),
    "3 by 2": ({"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}, None),
    "odd": ({"kernel_size": 3, "stride": 2}, None),
    "wide": ({"kernel_size": 5, "stride": 3, "padding": 2, "output_padding": 2}, None),
    "gaps": ({"kernel_size": 1, "stride": 3, "output_padding": 1}, None),
    "stride 1": ({"kernel_size": 3, "padding": 1}, ["conv3d"]),
    "much padding": ({"kernel_size": 4, "stride": 2, "padding": 3}, None),
    "groups": ({"kernel_size": 4, "stride": 2, "padding": 1, "groups": 2}, None),
    "dilation": ({"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1}, None),
    "lopsided": ({"kernel_size": (2, 5), "stride": 2, "padding": (0, 2)}, None),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions(name):
    options, expected = TRANSPOSED[name]
    net = check(spread(nn.ConvTranspose2d(4, 6, **options)), 4, 5, 4)
    assert ops(net) == (expected or ["conv3d", "depth_to_space", "pad"])


def test_norm_and_activation_go_into_a_transposed_convolution():
    up = nn.ConvTranspose2d(4, 6, 4, 2, 1, bias=False)
    net = check(spread(nn.Sequential(up, nn.BatchNorm2d(6), nn.ReLU6())), 4, 5, 4)
    assert ops(net) == ["conv3d", "depth_to_space", "pad"]
