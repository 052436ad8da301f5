"""bench/accuracy/average.py: the mean of the weights of several trainings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pvnet.models import pretrained
from pvnet.runtime import load

BENCH = Path(__file__).resolve().parents[2] / "bench" / "accuracy"


def test_mean_of_two_models_and_refusal_of_another_network(tmp_path, monkeypatch, capsys):
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
