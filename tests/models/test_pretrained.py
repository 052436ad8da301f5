"""The shipped models: small, described, loadable without torch, and right on unseen videos."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pvnet
from pvnet import models
from pvnet.video import synthetic
from pvnet.video.joints import JOINTS
from pvnet.viz.heatmaps import decode_heatmaps

UNSEEN = 2_000_000  # no seed of training or of the model card


def model_and_metadata(name: str):
    model = pvnet.load(models.pretrained(name))
    return model, model.metadata


@pytest.mark.parametrize("name", models.list_pretrained())
def test_files_are_small_and_say_what_they_are(name):
    path = models.pretrained(name)
    assert path.stat().st_size < 2e6
    model, metadata = model_and_metadata(name)
    assert metadata["task"] in ("joints", "actions")
    labels = json.loads(metadata["labels"])
    (output,) = model.graph.outputs
    assert output.shape[0] == len(labels)
    wanted = JOINTS if metadata["task"] == "joints" else synthetic.ACTIONS
    assert tuple(labels) == tuple(wanted)
    (frame,) = (n for n in model.graph.nodes if n.op == "input")
    assert list(frame.attrs["mean"]) == pytest.approx(json.loads(metadata["mean"]))
    assert list(frame.attrs["std"]) == pytest.approx(json.loads(metadata["std"]))
    assert model.graph.wiring == name.rsplit("_", 1)[1]


def test_demo_of_joints_is_there_in_both_wirings():
    shipped = models.list_pretrained()
    assert {"par_densenet_demo_sequential", "par_densenet_demo_predictive"} <= set(shipped)


@pytest.mark.parametrize("wiring", ["sequential", "predictive"])
def test_joints_are_found_in_unseen_videos(wiring):
    model, _ = model_and_metadata(f"par_densenet_demo_{wiring}")
    _, height, width = next(n.shape for n in model.graph.nodes if n.op == "input")
    stream = pvnet.compile(model, backend="cpu", lanes=1).stream()
    near = []
    for seed in range(UNSEEN, UNSEEN + 6):
        images, joints, visible, _ = synthetic.clip(seed, 20, height, width)
        stream.reset()
        for t, image in enumerate(images):
            out = stream.tick(image)
            if t < 8:
                continue
            heatmaps = np.asarray(out["heatmaps"]).reshape(len(JOINTS), height // 4, width // 4)
            found, _ = decode_heatmaps(heatmaps, (height, width))
            box = np.ptp(joints[t], axis=0).max()
            distance = np.linalg.norm(found - joints[t], axis=-1)
            near.append((distance < 0.2 * box)[visible[t]])
    assert np.concatenate(near).mean() > 0.8
