"""docs/parallelise.md, followed word for word; without torchvision with a small network instead."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from pvnet import video
from pvnet.cli._parallelise import timing

pytest.importorskip("torch")

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "parallelise.md").read_text()
SMALL = """
import torch
from torch import nn


def network():
    torch.manual_seed(0)
    layers = []
    for c, o in ((3, 8), (8, 8), (8, 8), (8, 8)):
        layers += [nn.Conv2d(c, o, 3, padding=1, stride=2), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).eval()
"""


def block(mark: str) -> str:
    """The code after `<!-- mark -->`."""
    found = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, mark
    return found[1]


def words(mark: str, **other: str) -> list[str]:
    """A command of the page; `other` are words that stand for something else here."""
    line = block(mark).replace("\\\n", " ")
    split = shlex.split(line)
    assert split.pop(0) == "pvnet"
    return [other.get(word, word) for word in split]


def test_the_page_leads_from_a_network_to_a_run(pvnet_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(timing, "_ROUND_S", 0.01)
    Path("my_network.py").write_text(SMALL)
    Path("videos").mkdir()
    for k in range(2):
        with (
            video.open(f"synthetic:seed={k},size=32x32,frames=80") as source,
            video.VideoWriter(f"videos/{k}.mp4", size=(32, 32), fps=25) as out,
        ):
            for frame in source:
                out.write(frame.image)
    here = {"VIDEOS": "videos", "224": "32", "30": "0.02"}
    look = pvnet_cli(*words("look", **here))
    assert look.code == 0, look.err
    assert "## Who wins" in Path("look/report.md").read_text()
    distil = pvnet_cli(*words("distil", **here))
    assert distil.code == 0, distil.err
    assert Path("student_report/report.md").exists()
    done = pvnet_cli(*words("run", **{"0": "videos/0.mp4"}))
    assert done.code == 0, done.err
    assert "predictive" in done.out


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="no torchvision")
def test_the_factory_of_the_page_is_a_network(monkeypatch):
    import torchvision

    made = torchvision.models.mobilenet_v3_large
    monkeypatch.setattr(torchvision.models, "mobilenet_v3_large", lambda weights: made())
    space: dict[str, object] = {}
    exec(compile(block("factory"), "my_network.py", "exec"), space)
    assert callable(space["network"])
    assert not space["network"]().training
