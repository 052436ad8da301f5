"""Convolutions of many shapes against float64, from Python."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from devices import real, shim

import pvnet
from pvnet.ops.reference import causal_conv3d_ref

# Of the norm of the right result; operands are rounded to the dtype before.
FAR = {"bf16": 3e-3, "f16": 5e-4, "tf32": 2e-6, "f32": 2e-6}
STORED = {"bf16": torch.bfloat16, "f16": torch.float16}
TICKS = 4
ON_A_DEVICE, ELSEWHERE = 100, 6


def shape(seed: int) -> dict:
    """A stratified case: every value of a dimension comes up again and again."""
    rng = random.Random(seed)
    groups = (1, 1, 1, 2)[seed % 4]
    kernel = (1 + seed % 3, rng.randint(1, 7), rng.randint(1, 7))
    channels = groups * rng.choice([1, 2, 3, 4, 5, 8, 13, 16, 31, 32, 35])
    return {
        "channels": channels, "out": groups * rng.randint(1, 40), "groups": groups,
        "kernel": kernel, "dilation": (1 + seed % 2, rng.randint(1, 2), 1),
        "stride": (1, rng.randint(1, 2), rng.randint(1, 2)),
        "side": (rng.randint(13, 17), rng.randint(7, 17)),
        "padding": (kernel[1] // 2, kernel[2] // 2), "seed": seed,
    }  # fmt: skip


def rounded(x: torch.Tensor, dtype: str) -> torch.Tensor:
    """float32 of the values that the device works with."""
    if dtype in STORED:
        return x.to(STORED[dtype]).float()
    if dtype == "tf32":  # to 10 bits behind the point, to nearest even
        bits = x.view(torch.int32)
        return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)
    return x


def distance(case: dict, dtype: str, options: dict) -> float:
    """Of the last tick from float64, relative to the norm."""
    torch.manual_seed(case["seed"])
    window = {key: case[key] for key in ("stride", "padding", "dilation", "groups")}
    g = pvnet.Graph()
    h, w = case["side"]
    x = g.input("frame", channels=case["channels"], height=h, width=w)
    g.output(g.conv3d(x, case["out"], kernel=case["kernel"], name="conv", **window), name="y")
    shape = (case["out"], case["channels"] // case["groups"], *case["kernel"])
    weight, bias = rounded(torch.randn(shape), dtype), torch.randn(case["out"])
    clip = rounded(torch.randn(1, case["channels"], TICKS, h, w), dtype)
    weights = {"conv.weight": weight.numpy(), "conv.bias": bias.numpy()}
    stream = pvnet.compile((g, weights), **options).stream()
    for t in range(TICKS):
        got = stream.tick(clip[0, :, t].numpy())["y"]
    want = causal_conv3d_ref(clip.double(), weight.double(), bias.double(), **window)[0, :, -1]
    return float(np.linalg.norm(got[0] - want.numpy()) / np.linalg.norm(want.numpy()))


@pytest.mark.parametrize("options", [real, shim])
@pytest.mark.parametrize("dtype", FAR)
def test_shapes_against_float64(options: dict, dtype: str) -> None:
    count = ELSEWHERE if options.get("isa") == "shim" else ON_A_DEVICE
    # The result, too, is rounded where it is stored.
    bound = FAR[dtype]
    bad = {}
    for seed in range(count):
        far = distance(shape(seed), dtype, {**options, "dtype": dtype})
        if not far <= bound:
            bad[seed] = far
    assert bad == {}


def test_the_cpu_passes_and_a_wrong_result_does_not() -> None:
    cases = [shape(seed) for seed in range(12)]
    assert all(distance(case, "f32", {"backend": "cpu"}) < FAR["f32"] for case in cases)
    # Operands that were not rounded are further away than a device may be.
    far = distance(cases[0], "f32", {"backend": "cpu"})
    assert far > 0
    x = torch.randn(1000)
    for dtype, worst in (("bf16", 2**-8), ("f16", 2**-10), ("tf32", 2**-11)):
        error = ((rounded(x, dtype) - x) / x).abs().max()
        assert worst / 4 < error <= worst
