"""bench/accuracy/distances.py: how far a student is from its teacher."""

from __future__ import annotations

import re
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench" / "accuracy"


def test_distances_of_a_student_to_its_teacher(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCH))
    import distances

    def shares(student):
        argv = ["distances.py", student, "par_densenet_demo_sequential", "--data", "figures?n=1"]
        monkeypatch.setattr(sys, "argv", [*argv, "--clips", "1", "--frames", "9"])
        distances.main()
        return {n: float(v) for n, v in re.findall(r"(\S+) (\d+\.\d+)", capsys.readouterr().out)}

    far, none = shares("par_densenet_demo_predictive"), shares("par_densenet_demo_sequential")
    assert far.keys() == none.keys()
    assert far["heatmaps"] > 0.01
    assert set(none.values()) == {0.0}
