"""`pvnet calibrate` and what `pvnet info MODEL` tells of its file."""

from __future__ import annotations

import numpy as np
import pytest

import pvnet

NETWORK = ("par_densenet", "--width", "0.125", "--size", "32")
VIDEOS = ("synthetic:seed=3,frames=4", "synthetic:seed=5,frames=4")


@pytest.fixture
def calibrated(pvnet_cli, tmp_path):
    out = tmp_path / "calibrated.safetensors"
    words = ("--out", out, "--leave-out", "heatmaps", "--json")
    return pvnet_cli("calibrate", *NETWORK, *VIDEOS, *words), out


def test_ranges_are_stored_beside_the_weights(calibrated):
    done, out = calibrated
    assert done.code == 0, done.err
    d, model = done.document, pvnet.load(out)
    assert (d["frames"], d["videos"], d["left_out"]) == (8, list(VIDEOS), ["heatmaps"])
    assert d["ranges"].keys() == model.ranges.keys()
    names = {node.name for node in model.graph.nodes}
    assert names - model.ranges.keys() == {"heatmaps"}
    plain = pvnet.runtime.Model(model.graph, model.weights)
    want = pvnet.calibrate(plain, VIDEOS, leave_out=["heatmaps"])
    assert model.ranges == want


def test_options_reach_the_calibration(pvnet_cli, tmp_path):
    out = tmp_path / "m.safetensors"
    words = ("--method", "minmax", "--max-frames", "2", "--out", out, "--json")
    done = pvnet_cli("calibrate", *NETWORK, *VIDEOS, *words)
    assert (done.document["frames"], done.document["percentile"]) == (4, None)
    model = pvnet.load(out)
    want = pvnet.calibrate(model, VIDEOS, method="minmax", max_frames=2)
    assert model.ranges == want
    assert pvnet_cli("calibrate", *NETWORK, *VIDEOS).code == 2  # --out
    done = pvnet_cli("calibrate", *NETWORK, *VIDEOS, "--out", out, "--leave-out", "nobody")
    assert done.code == 1
    assert "leave_out names no node: got 'nobody'" in done.err


def test_info_tells_which_nodes_have_ranges(pvnet_cli, calibrated, model_file):
    _, out = calibrated
    d = pvnet_cli("info", out, "--json").document
    assert d["ranges"].keys() == pvnet.load(out).ranges.keys()
    assert d["without_ranges"] == ["heatmaps"]
    assert d["parameters"] == sum(np.size(w) for w in pvnet.load(out).weights.values())
    text = pvnet_cli("info", out).out.splitlines()
    assert f"ranges: of {d['nodes'] - 1} of {d['nodes']} nodes (int8)" in text
    assert "stay f32: heatmaps" in text
    assert "ranges: none (no int8)" in pvnet_cli("info", model_file).out.splitlines()
    assert pvnet_cli("info", out, "--tuning").code == 2
    assert pvnet_cli("info", "no_such_file").code == 1
