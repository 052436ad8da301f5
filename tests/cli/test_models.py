"""`pvnet export`, `describe`, `info`, and the random weights they use."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pvnet
from cli.conftest import SMALL
from pvnet import models
from pvnet.models.random_weights import random_weights


def test_export_round_trip(pvnet_cli, tmp_path):
    out, graph_file = tmp_path / "m.safetensors", tmp_path / "g.json"
    done = pvnet_cli(
        "export", "--model", "par_inception", *SMALL, "--classes", "5", "--stages", "3",
        "--wiring", "predictive", "--out", out, "--graph-json", graph_file, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    d = done.document
    model = pvnet.load(out)
    assert (model.graph.wiring, len(model.graph.stages)) == ("predictive", 3)
    assert model.graph.outputs[0].shape[0] == 5
    assert model.metadata["task"] == "actions"
    assert d["parameters"] == sum(a.size for a in model.weights.values())
    assert d["size_bytes"] == out.stat().st_size
    graph = json.loads(graph_file.read_text())
    assert graph["format"] == "pvnet-graph"
    assert graph == json.loads(model.graph.to_json())


def test_export_rewires_a_file(pvnet_cli, model_file, tmp_path):
    out = tmp_path / "re.safetensors"
    done = pvnet_cli(
        "export", "--model", model_file, "--stages", "4", "--wiring", "pipelined", "--out", out
    )
    assert done.code == 0, done.err
    old, new = pvnet.load(model_file), pvnet.load(out)
    assert (new.graph.wiring, len(new.graph.stages)) == ("pipelined", 4)
    assert old.weights.keys() == new.weights.keys()
    assert all(np.array_equal(old.weights[k], new.weights[k]) for k in old.weights)
    assert new.metadata["weights"].startswith("random")


def test_presets_are_used(pvnet_cli):
    done = pvnet_cli("describe", "par_densenet", *SMALL, "--stages", "14", "--json")
    stages = done.document["graph"]["stages"]
    graph = models.build("par_densenet", width=0.125, size=32, stages=14, wiring="pipelined")
    assert [s["nodes"] for s in stages] == [list(s.nodes) for s in graph.stages]


def test_describe_tells_the_algorithms_of_convolutions(pvnet_cli):
    network = ("describe", "par_densenet", "--width", "0.5", "--size", "112", "--algorithms")
    algorithms = pvnet_cli(*network, "--json").document["algorithms"]
    assert set(algorithms.values()) >= {"direct", "winograd 4x4"}
    name = next(n for n, algorithm in algorithms.items() if algorithm == "winograd 4x4")
    text = pvnet_cli(*network).out
    assert any(line.split() == [name, "winograd", "4x4"] for line in text.splitlines())


def test_describe_tells_latencies_and_draws(pvnet_cli, model_file, tmp_path):
    done = pvnet_cli("describe", model_file, "--stages", "3", "--wiring", "pipelined")
    assert done.code == 0, done.err
    assert "random weights" in done.words
    assert "information latency" in done.words
    pytest.importorskip("matplotlib")
    for name, magic in (("t.png", b"\x89PNG"), ("t.svg", b"<?xml")):
        done = pvnet_cli(
            "describe", model_file, "--stages", "3", "--draw", tmp_path / name, "--json"
        )
        assert done.code == 0, done.err
        assert (tmp_path / name).read_bytes().startswith(magic)
        assert done.document["graph"]["outputs"][0]["information_latency_ticks"] == 2


def test_info_lists_version_backends_and_trained_models(pvnet_cli):
    done = pvnet_cli("info", "--json")
    assert done.code == 0
    assert done.document["pvnet"] == pvnet.__version__
    assert list(done.document["trained"]) == models.list_pretrained()
    text = pvnet_cli("info").out
    assert "backends" in text
    assert "cpu" in text


def test_info_says_why_there_is_no_device(pvnet_cli):
    """The words that compile(backend="cuda") has, in both forms."""
    [cuda] = [b for b in pvnet_cli("info", "--json").document["backends"] if b["name"] == "cuda"]
    text = pvnet_cli("info").out
    if cuda["available"]:
        assert "no cuda" not in text
        return
    assert f"no cuda: {cuda['why']}" in text.splitlines()
    graph = models.build("par_densenet", width=0.125, size=32)
    with pytest.raises(pvnet.errors.UnsupportedError) as caught:
        pvnet.compile((graph, random_weights(graph, seed=1)), backend="cuda")
    assert cuda["why"] in str(caught.value)


@pytest.mark.parametrize("name", ["par_densenet", "par_inception"])
def test_random_weights_fit_and_repeat(name):
    graph = models.build(name, width=0.125, size=32)
    one, two = random_weights(graph, seed=1), random_weights(graph, seed=1)
    other = random_weights(graph, seed=2)
    assert all(np.array_equal(one[k], two[k]) for k in one)
    first = next(k for k in one if k.endswith(".weight"))
    assert not np.array_equal(one[first], other[first])
    plan = pvnet.compile((graph, one), backend="ref")  # refuses missing or superfluous weights
    rng = np.random.default_rng(0)
    out = plan.stream().tick(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    value = next(iter(out.outputs.values()))
    assert np.isfinite(value).all()
    assert 1e-3 < np.abs(value).max() < 1e4


def test_feedback_networks_run(pvnet_cli):
    done = pvnet_cli(
        "run", "synthetic", "--model", "par_densenet", *SMALL, "--feedback", "--stages", "2",
        "--wiring", "predictive", "--max-frames", "4", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.document["frames"] == 4


def test_wiring_alone_keeps_the_stages(pvnet_cli, tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    pvnet_cli("export", "--model", "par_inception", *SMALL, "--stages", "5", "--out", first)
    done = pvnet_cli("export", "--model", first, "--wiring", "predictive", "--out", second)
    assert done.code == 0, done.err
    old, new = pvnet.load(first).graph, pvnet.load(second).graph
    assert (old.wiring, new.wiring) == ("pipelined", "predictive")
    assert old.stage_lists == new.stage_lists
