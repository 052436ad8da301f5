"""`pvnet parallelise`: from a network of somebody's to a student and a report."""

from __future__ import annotations

import importlib.util
import json

import pytest

import pvnet
from pvnet import video
from pvnet.cli._parallelise import timing

torch = pytest.importorskip("torch")

FACTORY = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    layers = []
    for c, o in ((3, 8), (8, 8), (8, 8)):
        layers += [nn.Conv2d(c, o, 3, padding=1, stride=2), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).eval()

def graph():
    import pvnet
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=32, width=32)
    for k in range(3):
        x = g.conv3d(x, 4, kernel=(3, 3, 3), act="relu", name=f"conv{k}")
    g.output(x, name="maps")
    return g

def number():
    return 3

def argument(width):
    return width
"""


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch):
    monkeypatch.setattr(timing, "_ROUND_S", 0.01)


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORY)
    for k in range(2):
        with (
            video.open(f"synthetic:seed={k},size=32x32,frames=90") as source,
            video.VideoWriter(tmp_path / f"{k}.mp4", size=(32, 32), fps=20) as out,
        ):
            for frame in source:
                out.write(frame.image)
    return tmp_path


def parallelise(pvnet_cli, mine, factory: str, *more: str):
    return pvnet_cli(
        "parallelise",
        f"{mine / 'mine.py'}:{factory}",
        mine / "0.mp4",
        mine / "1.mp4",
        "--stages",
        "3",
        "--out",
        mine / "student.safetensors",
        *more,
    )


def test_a_torch_network_becomes_a_student_with_a_report(pvnet_cli, mine):
    told = ["--set", "run.device=cpu", "run.ema=0"]
    done = parallelise(pvnet_cli, mine, "net", "--size", "32", "--steps", "3", *told, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["exact"]["equal_bits"]
    assert document["exact"]["late_ticks"] == 2
    assert document["training"]["steps"] == 3
    names = [row["name"] for row in document["clocks"][2]["rows"]]
    assert {"pipelined", "predictive", "predictive, untrained"} <= set(names)
    assert "round-robin" in names
    for clock in document["clocks"]:
        for row in clock["rows"]:
            exact_in_time = row["says"] == "exact" and row["late_ticks"] == 0
            assert (row["error"] == 0) == exact_in_time
    assert document["clocks"][0]["frame_ms"] == pytest.approx(50.0)
    model = pvnet.load(mine / "student.safetensors")
    assert (model.graph.wiring, model.graph.n_stages) == ("predictive", 3)
    folder = mine / "student_report"
    report = (folder / "report.md").read_text()
    assert "## Who wins" in report
    assert document["clocks"][0]["verdict"] in report
    assert f"pvnet run 0 --model {mine / 'student.safetensors'}" in report
    if importlib.util.find_spec("matplotlib") is not None:
        assert document["pictures"] == ["errors.png", "answers.png", "curve.png"]
    for name in document["pictures"]:
        assert (folder / name).stat().st_size > 1000
        assert f"({name})" in report
    assert pvnet_cli("run", mine / "0.mp4", "--model", mine / "student.safetensors").code == 0
    again = pvnet_cli("parallelise", f"{mine / 'mine.py'}:net", mine / "0.mp4", mine / "1.mp4",
                      "--size", "32", "--student", mine / "student.safetensors", "--report",
                      mine / "again", "--json")
    assert again.code == 0, again.err
    rows = [{r["name"]: r["error"] for r in d["clocks"][2]["rows"]}
            for d in (document, json.loads(again.out))]
    for name in ("predictive", "predictive, untrained"):
        assert rows[1][name] == pytest.approx(rows[0][name], rel=0.5)


def test_a_network_that_remembers_has_no_round_robin(pvnet_cli, mine):
    done = parallelise(pvnet_cli, mine, "graph", "--minutes", "0")
    assert done.code == 0, done.err
    assert "round-robin" not in done.out
    report = (mine / "student_report" / "report.md").read_text()
    assert "Round-robin cannot follow" in report
    assert "None was asked for" in report
    # What was written can be read again.
    again = pvnet_cli("parallelise", mine / "student.safetensors", mine / "0.mp4", "--minutes", "0",
                      "--stages", "2", "--report", mine / "again")
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("mine.py:nobody", "['net', 'graph', 'number', 'argument']"),
        ("mine.py:number", "int"),
        ("mine.py:argument", "takes no arguments"),
        ("absent.py:net", "no such file"),
        ("absent_module_of_mine:net", "no such module"),
        ("mine.txt", "this is no model"),
    ],
)
def test_what_is_no_network_is_said_so(pvnet_cli, mine, model, word):
    done = pvnet_cli("parallelise", mine / model if "/" not in model and "." in model else model,
                     mine / "0.mp4", "--minutes", "0", "--report", mine / "r")
    assert done.code == 1
    assert word in done.err
    assert "expected" in done.err


def test_a_wiring_gets_one_lane_where_that_is_faster():
    medians = {
        "one lane": [4.0, 3.0],
        "sequential": [9.0, 5.0],
        "pipelined": [2.0, 2.5],
        "predictive": [8.0, 3.5],
    }
    times = timing.tick_times(medians, 2)
    assert (times.one_lane_ms, times.sequential_ms) == (3.0, 3.0)
    assert (times.pipelined_ms, times.predictive_ms) == (2.0, 3.0)


def test_an_onnx_file_goes_through_its_reader(tmp_path, monkeypatch):
    from pvnet.train.any_model import load_any

    graph = pvnet.Graph()
    frame = graph.input("frame", channels=3, height=16, width=24)
    graph.output(graph.conv3d(frame, 2, kernel=(1, 3, 3), name="maps"), name="maps")
    torch.manual_seed(0)
    net = pvnet.nn.Network(graph)
    read = []

    def reader(path, *, size=None):
        read.append((path, size))
        return pvnet.runtime.Model(graph, net.export_weights())

    monkeypatch.setattr(pvnet, "from_onnx", reader, raising=False)
    model = load_any("net.onnx", size=(16, 24), mean=[0.5], std=[0.2, 0.3, 0.4])
    assert read == [("net.onnx", (16, 24))]
    attrs = model.graph.nodes[0].attrs
    assert list(attrs["mean"]) == [0.5] * 3
    assert list(attrs["std"]) == pytest.approx([0.2, 0.3, 0.4])
    with pytest.raises(pvnet.PvnetError, match="a number for each of 3 channels"):
        load_any("net.onnx", mean=[0.1, 0.2])
