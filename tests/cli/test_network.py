"""Which network the arguments choose, and that its weights are never a secret."""

from __future__ import annotations

import pytest

from cli.conftest import SMALL
from pvnet import models, runtime
from pvnet.cli.__main__ import build_parser
from pvnet.cli._common.network_choice import Choice, choose

JOINTS = [one for one in models.shipped() if one.task == "joints"]
PREDICTIVE = [one for one in JOINTS if one.good_for]


def chosen(command: str, *words: object) -> Choice:
    source = ("synthetic",) if command == "run" else ()
    return choose(build_parser().parse_args([command, *source, *map(str, words)]))


def facts(choice: Choice) -> tuple[str, str, int]:
    return choice.label, choice.graph.wiring, choice.graph.n_stages


def test_run_takes_the_shipped_predictive_joints():
    default = chosen("run")
    assert not default.random
    assert default.metadata["task"] == "joints"
    assert default.label in {one.name for one in PREDICTIVE}
    assert (default.graph.wiring, default.graph.n_stages) == ("predictive", 4)
    assert default.metadata["trained_on"] in default.title
    assert facts(chosen("run", "--model", "movenet")) == facts(default)


def test_people_read_one_wiring_whatever_the_file_is_called():
    assert chosen("run").name == "movenet"
    words = ("--model", "par_densenet", "--stages", "14", "--wiring", "predictive")
    predictive = chosen("run", *words)
    assert (predictive.label, predictive.name) == ("par_densenet_predictive14", "par_densenet")
    assert chosen("run", "--model", "par_densenet_demo_sequential").name == "par_densenet_demo"


def test_the_name_of_a_file_is_kept(tmp_path):
    path = tmp_path / "my_sequential.safetensors"
    runtime.save(chosen("run", "--model", "par_densenet_demo_sequential").model, path)
    assert chosen("run", "--model", path).name == "my_sequential"


@pytest.mark.parametrize("one", PREDICTIVE, ids=lambda one: one.name)
def test_run_takes_the_weights_that_are_good_for_the_stages(one):
    for stages in one.good_for:
        words = ("--model", one.family, "--wiring", "predictive", "--stages", stages)
        assert facts(chosen("run", *words)) == (one.name, "predictive", stages)


@pytest.mark.parametrize(
    ("words", "wiring", "stages"),
    [
        (("--stages", 3), "pipelined", 3),
        (("--stages", 1), "sequential", 1),
        (("--wiring", "pipelined", "--stages", 4), "pipelined", 4),
        (("--wiring", "sequential", "--stages", 4), "sequential", 4),
    ],
)
def test_other_wirings_are_the_sequential_weights(words, wiring, stages):
    choice = chosen("run", *words)
    assert (choice.graph.wiring, choice.graph.n_stages) == (wiring, stages)
    assert "_sequential" in choice.label
    assert choice.adapted
    assert not choice.random


def test_untrained_settings_are_refused_with_what_there_is(pvnet_cli):
    done = pvnet_cli("run", "synthetic", "--wiring", "predictive", "--stages", "99", "--json")
    assert done.code == 1
    message = done.document["error"]["message"]
    assert max(one.name for one in PREDICTIVE if one.family == "movenet") in message
    assert "--weights random" in message


@pytest.mark.parametrize("words", [("--weights", "random"), ("--seed", "3"), SMALL])
def test_random_weights_have_to_be_asked_for(words):
    choice = chosen("run", *words)
    assert choice.random
    assert "random weights" in choice.title


@pytest.mark.parametrize("command", ["bench", "trace"])
def test_speeds_are_those_of_the_full_size_by_default(command):
    assert chosen(command).random
    assert chosen(command).graph.nodes[0].shape == (3, 224, 224)
    trained = chosen(command, "--weights", "trained")
    assert not trained.random
    assert trained.label in {one.name for one in JOINTS}


def test_weights_of_another_wiring_are_said_to_be():
    name = next(one.name for one in PREDICTIVE if one.wiring == "predictive")
    assert chosen("run", "--model", name).adapted
    other = chosen("run", "--model", name, "--wiring", "sequential")
    assert not other.adapted
    assert "not trained for this wiring" in other.title


@pytest.mark.parametrize(
    "words",
    [
        ("--weights", "trained", "--seed", "1"),
        ("--weights", "trained", *SMALL),
        ("--weights", "some"),
        ("--model", PREDICTIVE[0].name, "--weights", "random"),
    ],
)
def test_contradictions_are_bad_usage(pvnet_cli, words):
    assert pvnet_cli("run", "synthetic", *words).code == 2


def test_the_report_says_which_weights_ran(pvnet_cli):
    done = pvnet_cli("run", "synthetic", "--max-frames", "3", "--json")
    assert done.code == 0, done.err
    d = done.document
    assert d["random_weights"] is False
    assert d["model"] in {one.name for one in PREDICTIVE}
    assert d["weights"].startswith("trained on ")
    assert "trained on" in pvnet_cli("run", "synthetic", "--max-frames", "3").out


def test_pictures_are_fitted_as_the_model_was_trained():
    assert chosen("run").fit == "letterbox"
    assert chosen("run", "--model", "par_densenet").fit == "stretch"
