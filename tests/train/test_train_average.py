"""bench/accuracy/average.py: weight averaging of several trainings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pvnet.models import pretrained
from pvnet.models.pretrained import pretrained_path
from pvnet.runtime import load

BENCH = Path(__file__).resolve().parents[2] / "bench" / "accuracy"


def test_weight_average_of_two_models_and_refusal_of_another_network(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCH))
    import average

    names = ["par_densenet_demo_predictive", "par_densenet_demo_sequential"]
    out = tmp_path / "mean.safetensors"
    monkeypatch.setattr(sys, "argv", ["average.py", *names, "--out", str(out)])
    average.main()
    mean, first = load(out), pretrained("par_densenet_demo", wiring="predictive")
    second = pretrained("par_densenet_demo", wiring="sequential", stages=7)
    assert (mean.graph.wiring, mean.graph.n_stages) == ("predictive", 7)
    assert mean.weights.keys() == first.weights.keys()
    for name, value in mean.weights.items():
        want = (np.float64(first.weights[name]) + np.float64(second.weights[name])) / 2
        np.testing.assert_allclose(value, want, rtol=1e-6, atol=1e-9)
    moved = [not np.array_equal(first.weights[n], second.weights[n]) for n in first.weights]
    assert any(moved)

    other = ["average.py", names[0], "par_densenet_sequential", "--out", str(tmp_path / "b")]
    monkeypatch.setattr(sys, "argv", other)
    with pytest.raises(SystemExit):
        average.main()
    assert "another network" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_weight_average_is_of_seeds_of_its_own_and_one_teacher(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import argparse

    import matrix
    import run

    asked = []

    def made(training, args):
        if training.averaged > 1:
            return run.ensure_average(training, args)
        asked.append((training.name, args.seed, args.teacher_seed))
        return pretrained_path(f"par_densenet_demo_{('predictive', 'sequential')[args.seed % 2]}")

    monkeypatch.setattr(run, "ensure_model", made)
    (row,) = (r for r in matrix.rows("stages", "joints") if r.training.averaged > 1)
    assert row.label == "predictive, trained, weight average of 4"
    common = {"task": "joints", "data": "jhmdb:F", "split": 1, "settings": "", "runs": tmp_path}
    args = argparse.Namespace(**common, seed=2, teacher_seed=0)
    path = made(row.training, args)
    assert asked == [("predictive_k14", seed, 0) for seed in (8, 9, 10, 11)]
    assert path == tmp_path / "joints-jhmdb-split1-seed2/predictive_k14_average4/model.safetensors"
    two = [load(pretrained_path(f"par_densenet_demo_{w}")) for w in ("predictive", "sequential")]
    name = next(iter(two[0].weights))
    want = (np.float64(two[0].weights[name]) + np.float64(two[1].weights[name])) / 2
    np.testing.assert_allclose(load(path).weights[name], want, rtol=1e-6, atol=1e-9)
