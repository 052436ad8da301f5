"""bench/accuracy/low_precision.py: equal dtypes have no difference, and every row is kept."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rows_are_scored_on_the_same_clips_and_recorded(tmp_path, capsys):
    path = ROOT / "bench" / "accuracy" / "low_precision.py"
    spec = importlib.util.spec_from_file_location("low_precision", path)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    out = tmp_path / "record.json"
    name = "par_densenet_demo_sequential"
    words = ["--data", "figures?n=2", "--models", name, "--out", str(out)]
    words += ["--calibration-clips", "2"]
    bench.main([*words, "--dtypes", "f32", "f32", "bf16", "int8"])
    record = json.loads(out.read_text())
    first, same, bf16, int8 = record["rows"]
    assert [r["dtype"] for r in record["rows"]] == ["f32", "f32", "bf16", "int8"]
    assert (record["data"], record["calibration_clips"]) == ("figures?n=2", 2)
    assert first["difference"] == same["difference"] == 0
    assert same["value"] == first["value"] > 0
    assert bf16["scored_ticks"] == first["scored_ticks"] > 0
    assert abs(bf16["value"] - first["value"]) <= 0.05
    assert int8["scored_ticks"] == first["scored_ticks"]
    assert abs(int8["value"] - first["value"]) <= 0.05
    assert bench.recorded("jhmdb:sets/jhmdb?joints=truth") == "jhmdb:FOLDER?joints=truth"
    assert name in capsys.readouterr().out
