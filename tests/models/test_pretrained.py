"""The shipped models: small, described, loadable without torch, right; and how one is asked for."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pvnet
from pvnet import models
from pvnet.decode.heatmaps import decode_heatmaps
from pvnet.errors import InvalidArgumentError
from pvnet.models.pretrained import accuracy
from pvnet.models.random_weights import random_weights
from pvnet.video import synthetic
from pvnet.video.joints import JOINTS

# The function of the same name hides the module in the package.
module = importlib.import_module("pvnet.models.pretrained")
UNSEEN = 2_000_000  # no seed of training or of the model card
SHIPPED = models.shipped()
FAMILIES = sorted({one.family for one in SHIPPED})
# Whatever was trained on rendered figures can be scored on rendered figures.
RENDERED = [
    one.name
    for one in SHIPPED
    if one.task == "joints" and one.trained_on.startswith(("pvnet.video.synthetic", "figures"))
]


def test_all_files_together_are_small():
    assert SHIPPED
    assert [one.name for one in SHIPPED] == models.list_pretrained()
    assert {one.task for one in SHIPPED if one.wiring == "predictive"} == {"joints", "actions"}
    assert sum(one.size_bytes for one in SHIPPED) < 10e6


@pytest.mark.parametrize("one", SHIPPED, ids=lambda one: one.name)
def test_files_say_what_they_are(one):
    model = models.pretrained(one.name)
    assert one.task in ("joints", "actions")
    labels = json.loads(model.metadata["labels"])
    (output,) = model.graph.outputs
    assert output.shape[0] == len(labels)
    if one.task == "joints":
        assert tuple(labels) == JOINTS
    (frame,) = (n for n in model.graph.nodes if n.op == "input")
    assert list(frame.attrs["mean"]) == pytest.approx(json.loads(model.metadata["mean"]))
    assert list(frame.attrs["std"]) == pytest.approx(json.loads(model.metadata["std"]))
    assert one.trained_on != "unknown data"
    assert one.accuracy
    assert one.name.startswith(f"{one.family}_{one.wiring}")
    assert one.name in (module.WEIGHTS / "README.md").read_text()


@pytest.mark.parametrize("name", models.list_pretrained())
def test_a_file_can_be_named_and_every_consumer_takes_it(name):
    model = models.pretrained(name)
    assert model.metadata["pretrained"] == name
    assert pvnet.load(model) is model
    from_path = pvnet.load(models.pretrained_path(name))
    assert from_path.graph.to_json() == model.graph.to_json()
    plan = pvnet.compile(model, backend="cpu", lanes=1)
    shape = plan.inputs["frame"]
    noise = np.random.default_rng(0).integers(0, 256, (*shape[1:], 3), dtype=np.uint8)
    assert all(np.isfinite(v).all() for v in plan.stream().tick(noise).outputs.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_pipelined_is_sequential_later_for_any_stages(family):
    sequential = models.pretrained(family)
    assert sequential.graph.wiring == "sequential"
    shape = sequential.graph.nodes[0].shape
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (*shape[1:], 3), dtype=np.uint8) for _ in range(6)]

    def answers(model):
        stream = pvnet.compile(model, backend="cpu", lanes=1).stream()
        return [next(iter(stream.tick(f).outputs.values())) for f in frames]

    expected = answers(sequential)
    for stages in (2, 5):
        model = models.pretrained(family, wiring="pipelined", stages=stages)
        assert (model.graph.wiring, model.graph.n_stages) == ("pipelined", stages)
        for late, value in zip(answers(model)[stages - 1 :], expected):
            np.testing.assert_allclose(late, value, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_predictive_weights_are_those_trained_for_the_stages(family):
    trained = {o.stages: o.name for o in SHIPPED if (o.family, o.wiring) == (family, "predictive")}
    if not trained:
        with pytest.raises(InvalidArgumentError, match=r"no trained weights .*'predictive'"):
            models.pretrained(family, wiring="predictive")
        return
    for stages, name in trained.items():
        model = models.pretrained(family, wiring="predictive", stages=stages)
        assert (model.metadata["pretrained"], model.graph.n_stages) == (name, stages)
    most = models.pretrained(family, wiring="predictive")
    assert most.graph.n_stages == max(trained)
    with pytest.raises(InvalidArgumentError, match=r"predictive, .* stages\)"):
        models.pretrained(family, wiring="predictive", stages=99)


@pytest.mark.parametrize("name", RENDERED)
def test_joints_are_found_in_unseen_videos(name):
    model = models.pretrained(name)
    _, height, width = model.graph.nodes[0].shape
    stream = pvnet.compile(model, backend="cpu", lanes=1).stream()
    warm = model.graph.outputs[0].warm_up_ticks
    near = []
    for seed in range(UNSEEN, UNSEEN + 6):
        images, joints, visible, _ = synthetic.clip(seed, warm + 14, height, width)
        stream.reset()
        for t, image in enumerate(images):
            out = stream.tick(image)
            if t < warm:
                continue
            found, _ = decode_heatmaps(out["heatmaps"][0], (height, width))
            box = np.ptp(joints[t], axis=0).max()
            distance = np.linalg.norm(found - joints[t], axis=-1)
            near.append((distance < 0.2 * box)[visible[t]])
    assert np.concatenate(near).mean() > 0.8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a made-up build: a family in three files, another one beside it."""
    graph = models.build("par_densenet", width=0.125, size=32, stages=2)
    for name, wiring, stages in (
        ("net_sequential", "sequential", 1),
        ("net_predictive2", "predictive", 2),
        ("net_predictive7", "predictive", 7),
        ("net_other_sequential", "sequential", 2),
        ("half_one_sequential", "sequential", 1),
        ("half_two_sequential", "sequential", 1),
    ):
        wired = graph.wire(wiring, stages=stages)
        metadata = {"task": "joints", "scores": json.dumps({"pck": {"0.2": 0.5}, "note": "x"})}
        model = pvnet.runtime.Model(wired, random_weights(graph), metadata)
        pvnet.save(model, tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(module, "WEIGHTS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "file", "wiring", "stages"),
    [
        (("net",), "net_sequential", "sequential", 1),
        (("net", "sequential", 4), "net_sequential", "sequential", 4),
        (("net", "pipelined", 4), "net_sequential", "pipelined", 4),
        (("net", "predictive"), "net_predictive7", "predictive", 7),
        (("net", "predictive", 2), "net_predictive2", "predictive", 2),
        (("net_predictive2",), "net_predictive2", "predictive", 2),
        (("net_sequential", "pipelined", 3), "net_sequential", "pipelined", 3),
        (("net_other",), "net_other_sequential", "sequential", 2),
        (("net_other", "pipelined"), "net_other_sequential", "pipelined", 2),
        (("half_t",), None, None, None),  # part of a word begins no family
        (("half",), None, None, None),  # two families begin so
        (("net", "pipelined"), None, None, None),  # the file has one stage
        (("net", "predictive", 3), None, None, None),
        (("net_other", "predictive"), None, None, None),
        (("net_predictive2", "sequential"), None, None, None),
        (("net", "diagonal"), None, None, None),
        (("net", "pipelined", 0), None, None, None),
        (("nothing",), None, None, None),
    ],
)
def test_what_a_name_means(folder, message, words, file, wiring, stages):
    if file is None:
        with pytest.raises(InvalidArgumentError) as error:
            models.pretrained(*words)
        assert message.match(str(error.value)), str(error.value)
        return
    model = models.pretrained(*words)
    assert model.metadata["pretrained"] == file
    assert (model.graph.wiring, model.graph.n_stages) == (wiring, stages)


def test_the_beginning_of_the_only_family_is_enough(folder):
    for path in folder.glob("net_[ps]*"):
        path.unlink()
    assert models.pretrained("net").metadata["pretrained"] == "net_other_sequential"


def test_lists_follow_the_folder(folder):
    assert "net_predictive7" in models.list_pretrained()
    (one,) = (o for o in models.shipped() if o.name == "net_predictive7")
    assert (one.family, one.wiring, one.stages, one.task) == ("net", "predictive", 7, "joints")
    assert one.accuracy == {"pck 0.2": 0.5}
    with pytest.raises(InvalidArgumentError):
        models.pretrained_path("net")


def test_accuracy_reads_what_is_there():
    assert accuracy({}) == {}
    assert accuracy({"scores": "about half"}) == {}
    assert accuracy({"scores": '{"top1": 0.5}'}) == {"top1": 0.5}
    assert accuracy({"figures": '{"top1": 0.5}'}) == {"top1": 0.5}  # of files made before 0.2
    assert accuracy({"held_out": '{"a": 1, "b": true, "c": [0, 1]}'}) == {"a": 1.0}


def test_no_torch_is_needed():
    code = (
        "import sys, pvnet; [pvnet.compile(pvnet.models.pretrained(o.family), lanes=1)"
        " for o in pvnet.models.shipped()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
