"""bench/train_speed.py finds the twin equal to plain torch modules, and fills its record."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCH = Path(__file__).resolve().parents[2] / "bench"
TINY = ["--size", "32", "32", "--width", "0.125", "--batch", "1", "--ticks", "2"]
ONCE = ["--rounds", "1", "--threads", "1"]


@pytest.fixture
def train_speed(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    import train_speed

    return train_speed


@pytest.mark.parametrize("model", ["par_densenet", "par_inception"])
def test_twin_and_plain_modules_have_equal_outputs_and_gradients(
    train_speed: Any, model: str
) -> None:
    args = argparse.Namespace(width=0.125, size=[32, 32], device="cpu")
    assert 0 < train_speed.check(model, args) < 1e-8


def test_a_difference_is_found(train_speed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_wrong(twin: torch.nn.Module, plain: torch.nn.Module) -> None:
        copy(twin, plain)
        with torch.no_grad():
            plain.get_parameter("mixed.mixed_4d.branch0.conv.weight")[0, 0] *= 1.001

    copy = train_speed.copy_weights
    monkeypatch.setattr(train_speed, "copy_weights", copy_wrong)
    args = argparse.Namespace(width=0.125, size=[32, 32], device="cpu")
    with pytest.raises(SystemExit, match="of the twin and of plain torch differ"):
        train_speed.check("par_inception", args)


def test_the_record_has_rates_memory_and_the_peak() -> None:
    words = ["--models", "par_densenet", "--precision", "bf16", "--json", *TINY, *ONCE]
    program = [sys.executable, str(BENCH / "train_speed.py"), *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["peak"]["gflops"] > 0
    assert record["machine"]
    [row] = record["rows"]
    assert (row.pop("model"), row.pop("precision")) == ("par_densenet", "bf16")
    assert len(row) == 7
    assert all(value is None or value > 0 for value in row.values())
