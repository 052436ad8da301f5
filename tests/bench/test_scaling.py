"""bench/scaling.py and bench/memory.py: bounds by hand, and small runs of both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pvnet

BENCH = Path(__file__).resolve().parents[2] / "bench"


def test_the_bounds_are_those_of_stages_and_lanes() -> None:
    import scaling

    g = pvnet.Graph()
    x = g.input("frame", channels=1, height=4, width=4)
    for name in "abc":
        x = g.conv3d(x, 4, name=name, kernel=(1, 1, 1))
    g.output(x, name="y")
    cut = g.wire("pipelined", stages=[["frame", "a"], ["b"], ["c"]])
    assert scaling.bounds(cut, {"a": 3.0, "b": 2.0, "c": 1.0}, 2) == {"lanes": 2.0, "cut": 2.0}


def test_a_small_run_of_scaling_leaves_a_record_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = [sys.executable, str(BENCH / "scaling.py"), "--models", "par_densenet"]
    command += ["--width", "0.125", "--size", "32", "--rounds", "1", "--seconds", "0.01"]
    command += ["--stages", "1", "2", "--lanes", "1", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "par_densenet.json").read_text())
    cases = [(r["wiring"], r["stages"], r["lanes"]) for r in record["rows"]]
    assert cases == [
        *(("sequential", 1, n) for n in (1, 2)),
        *(("pipelined", 2, n) for n in (1, 2)),
        *(("predictive", 2, n) for n in (1, 2)),
    ]
    assert all(r["cores_at_once"] == 1 for r in record["rows"] if r["lanes"] == 1)
    assert all(r["cores_at_once"] > 0 for r in record["rows"])
    assert all(r["bound_of_cut"] > 1 for r in record["rows"] if r["stages"] == 2)
    assert (tmp_path / "par_densenet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_run_of_memory_gives_its_parts() -> None:
    command = [sys.executable, str(BENCH / "memory.py"), "--networks", "movenet", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    needed = sum(row[f"{part}_bytes"] for part in ("weights", "rings", "arena"))
    assert row["ratio"] == pytest.approx((row["peak_bytes"] - row["before_bytes"]) / needed)
    plan = pvnet.compile(pvnet.models.pretrained("movenet"))
    assert row["weights_bytes"] == plan.weights_bytes
    assert needed - row["weights_bytes"] == plan.stream_bytes
