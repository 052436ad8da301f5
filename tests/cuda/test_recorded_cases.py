"""A device gives the bits that the stand-in has given, on networks whose arithmetic is exact."""

from __future__ import annotations

import exact_nets
import numpy as np
import pytest
import record_shim
from contract import EXECUTORS
from devices import real, shim

# In units of the finest bit: float32 holds all sums, in any order.
LARGEST = 2**22


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    if not record_shim.FILE.is_file():
        pytest.skip("nothing was recorded")
    with np.load(record_shim.FILE) as file:
        return dict(file)


def differing(got: dict[str, np.ndarray], recorded: dict, case: str, dtype: str) -> list[str]:
    """Outputs that have other bits than those recorded."""
    wanted = {name: recorded[f"{case}/{dtype}/{name}"] for name in got}
    return [name for name, y in got.items() if not np.array_equal(y[-2:], wanted[name])]


@pytest.mark.parametrize("options", [real, shim])
@pytest.mark.parametrize("dtype", exact_nets.DTYPES)
@pytest.mark.parametrize("case", exact_nets.CASES)
def test_bits_are_the_recorded_ones(recorded, options, dtype, case) -> None:
    got = exact_nets.play(case, dtype=dtype, **options)
    assert differing(got, recorded, case, dtype) == []


@pytest.mark.parametrize("options", [real])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_executor_gives_the_recorded_bits(recorded, options, executor) -> None:
    for case in exact_nets.CASES:
        got = exact_nets.play(case, dtype="bf16", executor=executor, **options)
        assert differing(got, recorded, case, "bf16") == []


@pytest.mark.parametrize("case", exact_nets.CASES)
def test_the_arithmetic_is_exact(case) -> None:
    """The reference and the CPU add in other orders, and give the same bits."""
    # Tiles of a convolution divide by 24, which no number of bits holds.
    ref, cpu = (
        exact_nets.play(case, backend=b, algorithm="direct") for b in ("ref", "cpu")
    )
    for name, y in ref.items():
        assert np.array_equal(y, cpu[name])
        bits = next(n for n in range(24) if np.array_equal(np.round(y * 2.0**n), y * 2.0**n))
        assert 0 < np.abs(y).max() * 2.0**bits < LARGEST


def test_the_record_of_f32_is_that_of_the_reference(recorded) -> None:
    """So the record is right, whatever made it."""
    for case in exact_nets.CASES:
        want = exact_nets.play(case, backend="ref")
        assert differing(want, recorded, case, "f32") == []


def test_a_changed_bit_is_found(recorded) -> None:
    want = exact_nets.play("chain", backend="ref")
    want["y"][-1, 0, 0, 0] += 1
    assert differing(want, recorded, "chain", "f32") == ["y"]
    assert record_shim.FILE.stat().st_size < record_shim.LIMIT
