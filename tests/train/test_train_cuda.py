"""Training on a CUDA device: captured steps are the eager ones, the data set is resident."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pvnet.train import Config, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def losses(folder: Path, *, cuda_graph: bool, feedback: int) -> list[float]:
    options = {"size": [32, 32], "width": 0.125, "skips": "head", "feedback": feedback}
    config = Config.from_dict(
        {
            "model": {"stages": 2, "wiring": "predictive", "options": options},
            "data": {"train": "figures?n=8", "frames": 12, "resident": True, "video_frames": 16},
            "run": {
                "steps": 8,
                "batch": 4,
                "device": "cuda",
                "log_every": 1,
                "deterministic": True,
                "cuda_graph": cuda_graph,
                "ema": 0.9,
            },
        }
    )
    train(config, folder)
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.mark.parametrize("feedback", [0, 1])
def test_captured_steps_are_the_eager_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feedback: int
) -> None:
    monkeypatch.setenv("PVNET_CACHE", str(tmp_path / "cache"))
    eager = losses(tmp_path / "eager", cuda_graph=False, feedback=feedback)
    captured = losses(tmp_path / "captured", cuda_graph=True, feedback=feedback)
    assert captured == pytest.approx(eager, rel=2e-3)
    assert eager[-1] < eager[0]
