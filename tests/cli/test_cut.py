"""Where --stages cuts: as the model's preset, and it is said how, and whether it was trained so."""

from __future__ import annotations

import json

import pytest

import pvnet
from cli.conftest import SMALL
from pvnet import models
from pvnet.cli.__main__ import build_parser
from pvnet.cli._common.network_choice import choose
from pvnet.evaluate.emission import frame_subsampling
from pvnet.models.random_weights import random_weights

EVAL = ("eval", "--data", "figures?n=1", "--frames", "16", "--json")


def preset(name: str, stages: int) -> list[list[str]]:
    options = {"classes": 5} if name == "par_inception" else {}
    return models.build(name, stages=stages, width=0.125, size=32, **options).stage_lists


@pytest.fixture(params=["par_densenet", "par_inception"])
def one_stage(request, tmp_path):
    """A sequential file of one stage that says which model it is."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    options = {"classes": 5} if request.param == "par_inception" else {}
    net = getattr(models, request.param)(width=0.125, size=32, **options)
    path = tmp_path / f"{request.param}.safetensors"
    pvnet.save(net, path)
    return request.param, path


def test_a_saved_network_says_which_model_it_is(one_stage):
    name, path = one_stage
    metadata = pvnet.load(path).metadata
    assert metadata["model"] == name
    options = json.loads(metadata["options"])
    assert (options["width"], options["size"]) == (0.125, 32)
    graph = models.build(name, **options)
    assert graph.to_json() == pvnet.load(path).graph.to_json()


COMMANDS = [
    ("run", "synthetic", "--max-frames", "3"),
    ("trace", "--ticks", "2"),
    ("export",),
    ("describe",),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("wiring", ["pipelined", "predictive"])
def test_every_command_cuts_a_file_as_the_preset_of_its_model(
    pvnet_cli, one_stage, tmp_path, words, wiring
):
    name, path = one_stage
    k = 7 if name == "par_densenet" else 5
    file = [path] if words[0] == "describe" else ["--model", path]
    out = tmp_path / ("out.safetensors" if words[0] == "export" else "out.json")
    more = ["--out", out] if words[0] in ("export", "trace") else []
    done = pvnet_cli(*words, *file, "--wiring", wiring, "--stages", k, *more, "--json")
    assert done.code == 0, done.err
    cut = done.document["cut"]
    assert (cut["stages"], cut["wiring"], cut["how"]) == (k, wiring, f"preset of {name}")
    assert cut["trained_for_it"] == (wiring == "pipelined")
    assert f"{words[0]}: {k} stages, the preset of {name}" in done.err
    assert ("not for predictive" in done.err) == (wiring == "predictive")
    if words[0] == "export":
        assert pvnet.load(out).graph.stage_lists == preset(name, k)


def test_even_cuts_are_still_there_when_asked_for(one_stage):
    name, path = one_stage
    model = pvnet.load(path)
    k = 7 if name == "par_densenet" else 5
    words = ["export", "--model", str(path), "--stages", str(k), "--cut", "even", "--out", "x.st"]
    choice = choose(build_parser().parse_args(words))
    assert choice.cut.how == "even in cost"
    assert choice.graph.stage_lists == model.graph.wire("pipelined", stages=k).stage_lists
    assert choice.graph.stage_lists != preset(name, k)
    network = ("par_densenet", *SMALL, "--stages", "7", "--cut", "even", "--skips", "head")
    choice = choose(build_parser().parse_args(["describe", *network]))
    assert choice.cut.how == "even in cost"
    assert choice.graph.n_stages == 7


def test_bench_cuts_as_the_preset_of_the_model(pvnet_cli, one_stage, tmp_path):
    name, path = one_stage
    quick = ("--ticks", "1", "--rounds", "1", "--lanes", "1", "--stages", "2,4")
    done = pvnet_cli("bench", "--model", path, *quick, "--json")
    assert done.code == 0, done.err
    cuts = {row["stages"]: row["cut"] for row in done.document["rows"]}
    assert cuts == {1: "one stage", 2: f"preset of {name}", 4: "even in cost"}


def test_a_file_that_does_not_say_what_it_is_is_cut_evenly_and_that_is_said(
    pvnet_cli, one_stage, tmp_path
):
    _, path = one_stage
    model = pvnet.load(path)
    unnamed = tmp_path / "unnamed.safetensors"
    pvnet.save(pvnet.runtime.Model(model.graph, model.weights), unnamed)
    done = pvnet_cli("describe", unnamed, "--stages", "7", "--json")
    assert done.document["cut"]["how"] == "even in cost"
    assert "7 stages, cut even in cost" in done.err
    # Another network that calls itself one of ours.
    g = pvnet.Graph()
    x = g.conv3d(g.input("frame", channels=3, height=8, width=8), 2, kernel=1)
    g.output(g.conv3d(x, 2, kernel=1), name="y")
    weights = random_weights(g)
    other = pvnet.runtime.Model(g, weights, {"model": "par_densenet"})
    assert models.rewired(other, "pipelined", 2).how == "even in cost"


def test_eval_cuts_a_sequential_file_as_the_preset_and_names_trained_weights(pvnet_cli):
    words = ("--model", "par_densenet_sequential", "--wiring", "predictive", "--stages", "14")
    done = pvnet_cli(*EVAL, *words)
    assert done.code == 0, done.err
    assert done.document["cut"] == {
        "stages": 14,
        "wiring": "predictive",
        "how": "preset of par_densenet",
        "trained_for_it": False,
        "trained_weights": ["par_densenet_predictive14 (predictive, 14 stages)"],
    }
    for part in ("the preset of par_densenet", "trained for sequential, 1 stage, not for", "14"):
        assert part in done.err
    assert "Weights trained for it are shipped: par_densenet_predictive14" in done.err


def test_frame_subsampling_keeps_the_rate_of_the_preset(pvnet_cli):
    done = pvnet_cli(*EVAL, "--task", "joints", "--stages", "14", "--skip-frames")
    assert done.code == 0, done.err
    options = {"size": (96, 128), "width": 0.375, "stages": 14}
    every = frame_subsampling(models.build("par_densenet", **options)).every
    assert every == 5
    assert done.document["protocol"]["every"] == every
    assert done.document["cut"]["how"] == "preset of par_densenet"
    assert f"a frame in {every}, as the slowest of 14 stages allows" in done.err
    assert "preset of par_densenet" in done.err


def test_shipped_weights_and_evaluate_are_cut_as_the_preset():
    from pvnet.evaluate.evaluation import _wire

    expected = models.build("par_densenet", size=(96, 128), width=0.375, stages=7).stage_lists
    model = models.pretrained("par_densenet", "pipelined", 7)
    assert model.graph.stage_lists == expected
    sequential = models.pretrained("par_densenet")
    assert _wire(sequential, "predictive", 7).stage_lists == expected


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (("export", "--model", "par_densenet", *SMALL, "--out", "a.onnx"), ".safetensors, .st"),
        (("export", "--model", "par_densenet", *SMALL, "--out", "a.pt"), ".safetensors, .st"),
        (
            ("export", "--model", "par_densenet", "--out", "a.st", "--graph-json", "g.yaml"),
            "in .json",
        ),
        (("trace", *SMALL, "--out", "a.mp4"), "in .json"),
        (("bench", *SMALL, "--out", "a.csv"), "in .json"),
        (("bench", *SMALL, "--picture", "a.mp4"), ".png, .svg, .pdf"),
        (("describe", "par_densenet", *SMALL, "--draw", "a.txt"), ".png, .svg, .pdf"),
        (("label", "videos", "--out", "a.csv"), "in .npz"),
    ],
)
def test_an_ending_that_is_not_written_is_refused_with_the_list(
    pvnet_cli, tmp_path, monkeypatch, words, allowed
):
    monkeypatch.chdir(tmp_path)
    done = pvnet_cli(*words)
    assert done.code == 2
    assert allowed in done.err
    assert not list(tmp_path.iterdir())
