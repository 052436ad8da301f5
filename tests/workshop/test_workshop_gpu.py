"""The workshop on a device, by CuPy itself: `pytest -m gpu`."""

from __future__ import annotations

import numpy as np
import pytest

from pvnet import workshop as shop
from pvnet.errors import InvalidArgumentError

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def cupy():
    return pytest.importorskip("cupy")


def test_the_example_equals_the_oracle_on_the_device(example):
    tiles = shop.variants(TILE_C=(8, 32, 64), TILE_W=(1, 2, 4), TILE_H=(1, 2))
    trials = shop.sweep(example.KERNEL, "max_pool", example.problem(), tiles, example.launch)
    assert [trial.problem for trial in trials] == [""] * len(tiles)
    assert all(trial.right for trial in trials)
    assert all(0 < t.timing.best_us <= t.timing.median_us for t in trials)
    assert all(t.kernel.registers > 0 for t in trials)
    assert all(t.kernel.local_bytes == 0 for t in trials)


def test_what_does_not_compile_or_launch_is_told(example, tmp_path):
    bad = tmp_path / "bad.cu"
    bad.write_text("int x = ;")
    with pytest.raises(InvalidArgumentError, match=r"does not compile: got .*error"):
        shop.load(bad, "bad")
    with pytest.raises(InvalidArgumentError, match="has no kernel 'other'"):
        shop.load(example.KERNEL, "other")
    tiles = shop.variants(TILE_C=(64,), TILE_W=(8,), TILE_H=(8,))  # 4,096 threads
    (trial,) = shop.sweep(example.KERNEL, "max_pool", example.problem(), tiles, example.launch)
    assert trial.problem.startswith("does not run: ")


def test_a_longer_kernel_takes_longer(cupy, tmp_path):
    source = tmp_path / "spin.cu"
    source.write_text(
        'extern "C" __global__ void spin(long long n) {'
        " const long long begin = clock64(); while (clock64() - begin < n) {} }"
    )
    spin = shop.load(source, "spin")
    short, long = (
        shop.time_kernel(lambda n=n: spin((1, 1, 1), (1, 1, 1), [np.int64(n)]))
        for n in (10_000, 1_000_000)
    )
    assert long.best_us > short.best_us
