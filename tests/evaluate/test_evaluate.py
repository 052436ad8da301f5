"""Evaluation by the runtime: the twin's numbers, emission time, frame subsampling."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_runs import SIZE, figures, small, source_of

import pvnet
from pvnet import runtime
from pvnet.errors import InvalidArgumentError
from pvnet.evaluate import evaluation as ev
from pvnet.evaluate.evaluation import (
    Protocol,
    decode,
    evaluate,
    find_emitted_tick,
    frame_subsampling,
    take_emissions,
)
from pvnet.evaluate.metrics import summary
from pvnet.models import par_densenet, par_inception
from pvnet.train.loop import train
from pvnet.video.synthetic import ACTIONS


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that gives different joints for different frames."""
    folder = tmp_path_factory.mktemp("run")
    config = small(run_steps=25, optimiser_rate=1e-2, model_stages=4)
    train(config, folder, source=source_of(figures(4, 6), 2))
    return folder / "model.safetensors"


def by_twin(net, dataset, task, *, first, latency=0):
    counts = []
    for clip in dataset.clips:
        frames = torch.from_numpy(clip.frames).permute(3, 0, 1, 2)[None]
        with torch.no_grad():
            (y,) = net(frames).values()
        out = np.stack([decode(y[0, :, t].numpy(), task, SIZE) for t in range(y.shape[2])])
        counts.append(ev.score_clip(clip, out, task=task, first=first, prediction_latency=latency))
    return summary(counts)


@pytest.mark.parametrize(
    ("wiring", "latency"), [("sequential", 0), ("pipelined", 0), ("predictive", 2)]
)
def test_the_runtime_scores_what_the_twin_scores_for_joints(trained, wiring, latency):
    dataset = figures(6, 9)
    protocol = Protocol(prediction_latency=latency)
    found = evaluate(trained, dataset, task="joints", wiring=wiring, protocol=protocol)
    model = pvnet.load(trained)
    net = pvnet.nn.Network(model.graph.wire(wiring, model.graph.stage_lists))
    net.load_weights(model.weights)
    first = found["first_scored_tick"]
    want = by_twin(net.eval(), dataset, "joints", first=first, latency=latency)
    assert found["scored_ticks"] == 6 * (9 - first)
    assert found["pck@0.2_box"] > 0.05
    for name, value in want.items():
        assert found[name] == pytest.approx(value, abs=5e-4), name


def test_the_runtime_scores_what_the_twin_scores_for_actions():
    torch.manual_seed(1)
    net = par_inception(
        classes=len(ACTIONS), size=SIZE, width=0.125, clocks="i3d", stages=2, wiring="predictive"
    ).eval()
    dataset = figures(8, 24)
    found = evaluate(net, dataset, task="actions", protocol=Protocol(first_tick=8))
    want = by_twin(net, dataset, "actions", first=found["first_scored_tick"])
    for name in ("top1", "top5", "tick_top1"):
        assert found[name] == pytest.approx(want[name], abs=5e-4)
        low, high = found[f"{name}_interval"]
        assert low <= found[name] <= high


def test_pipelined_is_scored_with_its_delay(trained):
    """Against the frame of its delay ago it scores as sequential; against the newest, as sequential
    whose results come so many ticks late.
    """
    dataset = figures(6, 12)
    at = Protocol(first_tick=6)
    late = Protocol(first_tick=6, prediction_latency=3)
    now = evaluate(trained, dataset, task="joints", wiring="pipelined", protocol=at)
    then = evaluate(trained, dataset, task="joints", wiring="pipelined", protocol=late)
    assert now["information_latency_ticks"] == 3
    held = Protocol(first_tick=6, late=3)
    exact = evaluate(trained, dataset, task="joints", wiring="sequential", protocol=held)
    assert exact["pck@0.2_box"] == now["pck@0.2_box"]
    shifted = Protocol(first_tick=3)
    cut = figures(6, 12)
    cut.clips = [
        type(c)(c.frames[:9], c.joints[:9], c.visible[:9], c.label, c.clip_id, c.fps)
        for c in cut.clips
    ]
    ceiling = evaluate(trained, cut, task="joints", wiring="sequential", protocol=shifted)
    assert then["pck@0.2_box"] == ceiling["pck@0.2_box"]
    assert then["mean_error_px"] == pytest.approx(ceiling["mean_error_px"], abs=1e-4)
    waiting = Protocol(first_tick=6, late=3)
    behind = evaluate(trained, dataset, task="joints", wiring="sequential", protocol=waiting)
    assert now["pck@0.2_box"] == behind["pck@0.2_box"]
    assert now["mean_error_px"] == pytest.approx(behind["mean_error_px"], abs=1e-4)
    assert now["mean_error_px"] != pytest.approx(then["mean_error_px"], abs=1e-4)


def test_frame_subsampling_gives_the_last_finished_result():
    protocol = Protocol(every=3, late=2)
    # Frames 0, 3, 6 are taken; their results are out at the end of ticks 2, 5, 8.
    assert [find_emitted_tick(t, protocol) for t in range(2, 10)] == [0, 0, 0, 1, 1, 1, 2, 2]
    values = np.array([10, 13, 16], np.float32)
    assert take_emissions(values, 9, protocol)[2:].tolist() == [10, 10, 10, 13, 13, 13, 16]
    assert ev.first_scored(protocol, warm_up=0) == 2
    assert ev.first_scored(protocol, warm_up=1) == 5


def test_frame_subsampling_was_called_skipping():
    with pytest.warns(FutureWarning, match="called frame_subsampling now"):
        assert pvnet.evaluate.skipping is frame_subsampling
    with pytest.raises(AttributeError, match="no attribute 'skippin'"):
        pvnet.evaluate.skippin  # noqa: B018


def test_the_rate_of_frame_subsampling_follows_from_the_stages():
    graph = par_densenet(size=SIZE, width=0.125, stages=1).graph
    assert frame_subsampling(graph) == Protocol()
    cut = graph.wire("predictive", 4)
    costs = [s.cost for s in cut.stages]
    protocol = frame_subsampling(cut)
    assert protocol.every == int(np.ceil(sum(costs) / max(costs) - 1e-9)) > 1
    assert protocol.late == protocol.every - 1


def test_counts_of_every_clip_add_up_to_the_metric(trained):
    dataset = figures(3, 6)
    out = evaluate(trained, dataset, task="joints", per_clip=True)
    pairs = out["per_clip"]["pck@0.2_box"]
    assert len(pairs) == out["clips"] == 3
    hits, known = (sum(p[k] for p in pairs) for k in (0, 1))
    assert hits / known == out["pck@0.2_box"]
    assert "per_clip" not in evaluate(trained, dataset, task="joints")


def named(model, *labels):
    return runtime.Model(model.graph, model.weights, {"labels": json.dumps(labels)})


def test_classes_are_compared_by_name():
    torch.manual_seed(1)
    net = par_inception(classes=4, size=SIZE, width=0.125, stages=2, wiring="predictive").eval()
    model = runtime.Model(net.graph, net.export_weights(), {})
    dataset = figures(6, 12)
    for k, clip in enumerate(dataset.clips):
        dataset.clips[k] = replace(clip, label=k % 3)
    dataset.classes = ("sit", "air drumming", "walk")
    how = {"task": "actions", "per_clip": True}
    plain = evaluate(named(model, "sit", "air_drumming", "walk", "more"), dataset, **how)
    assert plain == evaluate(model, dataset, **how)
    # The same network, whose outputs are said to mean something else: labels 0, 1, 2 are 2, 0, 1.
    for k, clip in enumerate(dataset.clips):
        dataset.clips[k] = replace(clip, label=(2, 0, 1)[k % 3])
    want = evaluate(model, dataset, **how)
    for k, clip in enumerate(dataset.clips):
        dataset.clips[k] = replace(clip, label=k % 3)
    found = evaluate(named(model, "air_drumming", "walk", "sit"), dataset, **how)
    assert found == want
    with pytest.raises(InvalidArgumentError, match=r"^\[.+: got walk, expected .+\. .+\.$"):
        evaluate(named(model, "sit", "air drumming", "run"), dataset, **how)


def test_a_clip_that_cannot_be_read_is_left_out_and_named(trained):
    """The data set hands out another clip in its place, which has a turn of its own."""
    dataset = figures(4, 6)
    whole = evaluate(trained, figures(4, 6), task="joints", per_clip=True)
    dataset.clips[2] = replace(dataset.clips[0], problems=("figure-2: no frame can be decoded",))
    out = evaluate(trained, dataset, task="joints", per_clip=True)
    assert (out["clips"], out["clips_left_out"]) == (3, 1)
    assert out["problems"] == ["figure-2: no frame can be decoded"]
    pairs = whole["per_clip"]["pck@0.2_box"]
    assert out["per_clip"]["pck@0.2_box"] == [pairs[k] for k in (0, 1, 3)]


def test_clips_too_short_are_counted_and_none_at_all_is_an_error(trained):
    dataset = figures(3, 4, ragged=True)  # 4, 5, 6 frames
    out = evaluate(trained, dataset, task="joints", protocol=Protocol(first_tick=4))
    assert (out["clips"], out["clips_left_out"], out["scored_ticks"]) == (2, 1, 3)
    with pytest.raises(InvalidArgumentError, match=r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"):
        evaluate(trained, dataset, task="joints", protocol=Protocol(first_tick=60))
