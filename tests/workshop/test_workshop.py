"""Compiling, comparing, sweeping and timing, on a stand-in for the device (fake_cupy.py).

That the same works on a device: test_workshop_gpu.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from pvnet import workshop as shop
from pvnet.errors import FileError, InvalidArgumentError
from workshop.conftest import EXAMPLE

SCALE = """
#include "factor.h"
extern "C" __global__ void scale(const float* x, int n, float* y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i] * (FACTOR + STEP);
}
"""


@pytest.fixture
def scale(tmp_path):
    (tmp_path / "scale.cu").write_text(SCALE)
    (tmp_path / "factor.h").write_text("#define FACTOR 2.0f\n")
    return tmp_path / "scale.cu"


@pytest.fixture
def times_two():
    x = np.arange(10, dtype=np.float32)
    return shop.Problem([x, np.int32(10)], 2 * x)


def in_blocks_of(n):
    return lambda defines: shop.Launch((-(-10 // n), 1, 1), (n, 1, 1))


def test_the_example_equals_the_oracle_in_every_variant(fake, example):
    fake.cost_ms = lambda grid, block: block[0] * 1e-3
    tiles = shop.variants(TILE_C=(8, 32), TILE_W=(1, 4), TILE_H=(2,))
    once = {"rounds": 1, "launches": 1}
    problem = example.problem()
    trials = shop.sweep(example.KERNEL, "max_pool", problem, tiles, example.launch, **once)
    assert [trial.error for trial in trials] == [0.0] * 4
    assert all(trial.right for trial in trials)
    assert [t.defines["TILE_C"] for t in trials] == [8, 8, 32, 32]
    assert ("launch", (24, 7, 14), (8, 4, 2), 0) in fake.calls


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tick - tap", "tick - tap - 1"),
        ("firing < 0 ?", "firing < 99 ?"),
        ("dy = -1", "dy = 0"),
        ("value.depth = depth", "value.depth = depth - 1"),
        ("c >= channels", "c > 100"),
    ],
)
def test_a_wrong_kernel_is_found(fake, example, tmp_path, old, new):
    source = example.KERNEL.read_text()
    assert source.count(old) == 1
    wrong = tmp_path / "wrong.cu"
    wrong.write_text(source.replace(old, new))
    tiles = shop.variants(TILE_C=(64,), TILE_W=(4,), TILE_H=(2,))
    (trial,) = shop.sweep(wrong, "max_pool", example.problem(), tiles, example.launch)
    assert not trial.right
    assert not trial.error <= 1e-3
    assert trial.timing is None


def test_a_file_finds_what_lies_beside_it_and_its_macros(fake, scale, times_two):
    kernel = shop.load(scale, "scale", defines={"STEP": 0.5})
    y = np.zeros(10, np.float32)
    kernel((3, 1, 1), (4, 1, 1), [times_two.inputs[0], np.int32(10), y], shared_bytes=16)
    np.testing.assert_array_equal(y, 2.5 * np.arange(10))
    assert fake.calls[-1] == ("launch", (3, 1, 1), (4, 1, 1), 16)
    assert (kernel.registers, kernel.local_bytes, kernel.shared_bytes) == (32, 0, 128)
    options = next(call[1] for call in fake.calls if call[0] == "module")
    assert "-DSTEP=0.5" in options
    assert "--std=c++17" in options


def test_a_sweep_puts_right_ones_first_and_says_what_the_others_lack(fake, scale, times_two):
    trials = shop.sweep(
        scale, "scale", times_two, [{"STEP": s} for s in ("oops", 1, 0)], in_blocks_of(4)
    )
    assert [trial.defines["STEP"] for trial in trials] == [0, 1, "oops"]
    right, wrong, broken = trials
    assert right.right
    assert right.timing is not None
    assert wrong.error == pytest.approx(0.5)
    assert (wrong.right, wrong.timing, wrong.problem) == (False, None, "")
    assert broken.kernel is None
    assert "oops" in broken.problem
    lines = shop.results(trials).splitlines()
    assert [word for line in lines for word in ("right", "wrong", "fails") if word in line] == [
        "right",
        "wrong",
        "fails",
    ]


def test_a_launch_that_the_device_refuses_is_a_result(fake, scale, times_two):
    fake.most_threads = 8
    trials = shop.sweep(
        scale,
        "scale",
        times_two,
        [{"STEP": 0, "THREADS": n} for n in (16, 8)],
        lambda d: shop.Launch((2, 1, 1), (d["THREADS"], 1, 1)),
    )
    assert [trial.defines["THREADS"] for trial in trials] == [8, 16]
    assert "does not run: CUDA_ERROR_INVALID_VALUE" in trials[1].problem


def test_outputs_that_a_kernel_leaves_out_are_wrong(fake, scale, times_two):
    (trial,) = shop.sweep(
        scale, "scale", times_two, [{"STEP": 0}], lambda d: shop.Launch((2, 1, 1), (4, 1, 1))
    )
    assert not trial.right
    assert np.isnan(trial.error)


def test_the_time_of_a_launch_is_that_of_rounds_between_events(fake):
    lasts_ms = iter([9.0] * 4 + [1.0] * 4 + [3.0] * 4 + [2.0] * 4)  # the first round warms up

    def launch():
        fake.calls.append(("launch",))
        fake.clock_ms += next(lasts_ms)

    timing = shop.time_kernel(launch, rounds=3, launches=4)
    assert timing == shop.Timing(2000.0, 1000.0, 3000.0, rounds=3, launches=4)
    one = [("record",), *[("launch",)] * 4, ("record",), ("synchronize",)]
    assert fake.calls == one * 4
    with pytest.raises(InvalidArgumentError, match="rounds, launches: got 0, 4"):
        shop.time_kernel(launch, rounds=0, launches=4)


def test_variants_are_all_combinations():
    assert shop.variants(A=(1, 2), B=("x",)) == [{"A": 1, "B": "x"}, {"A": 2, "B": "x"}]
    assert shop.variants() == [{}]


def test_the_oracle_takes_weights_and_keeps_time():
    rng = np.random.default_rng(1)
    clip = rng.standard_normal((4, 2, 3, 3)).astype(np.float32)
    weight = rng.standard_normal((5, 2, 2, 1, 1)).astype(np.float32)
    oracle = shop.reference(
        lambda graph, x: graph.conv3d(x, 5, kernel=(2, 1, 1), bias=False, name="y"),
        {"y.weight": weight},
    )
    past = np.concatenate([np.zeros_like(clip[:1]), clip])
    expected = np.einsum("ock,tkchw->tohw", weight[..., 0, 0], np.stack([past[:-1], clip], 1))
    assert shop.error(oracle(clip), expected) < 1e-6
    with pytest.raises(InvalidArgumentError, match=r"got \(2, 3, 3\), expected \[t, c, h, w\]"):
        oracle(clip[0])


def test_an_error_is_of_the_norm():
    exact = np.array([3.0, 4.0])
    assert shop.error(np.array([3.0, 4.5]), exact) == pytest.approx(0.1)
    assert shop.error(np.array([0.0, 2.0]), np.zeros(2)) == 2.0
    with pytest.raises(InvalidArgumentError, match=r"got \(1,\), expected \(2,\)"):
        shop.error(np.zeros(1), exact)


def test_what_cannot_be_compiled_is_refused(fake, scale, tmp_path):
    with pytest.raises(FileError, match=r"\[workshop.load\] cannot read .*none\.cu"):
        shop.load(tmp_path / "none.cu", "scale")
    with pytest.raises(InvalidArgumentError, match="no name of a macro: got 'A B'"):
        shop.load(scale, "scale", defines={"A B": 1})
    with pytest.raises(InvalidArgumentError, match=r"does not compile: got .*error.*STEP"):
        shop.load(scale, "scale")
    with pytest.raises(InvalidArgumentError, match="has no kernel 'other'"):
        shop.load(scale, "other", defines={"STEP": 0})


def test_the_example_prints_a_table(fake, example, capsys, monkeypatch):
    monkeypatch.setattr(example, "CHANNELS", 8)
    monkeypatch.setattr(example, "HEIGHT", 5)
    monkeypatch.setattr(example, "TILES", [example.TILES[0], example.TILES[-1]])
    fake.most_threads = 256
    example.main()
    printed = capsys.readouterr().out
    assert "median us" in printed
    assert printed.count("right") == 1
    assert printed.count("fails") == 1  # 64 x 4 x 2 threads


def test_the_examples_kernel_is_compiled_by_nvcc(tmp_path):
    import shutil
    import subprocess

    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc")
    import pvnet

    command = [nvcc, "-std=c++17", "-arch=sm_80", "-cubin", f"-I{pvnet.get_include()}"]
    done = subprocess.run(
        [*command, "-Werror=all-warnings", str(EXAMPLE / "max_pool.cu"), "-o", tmp_path / "k"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
