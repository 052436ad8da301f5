"""Stream.run over sources and policies; measured costs; models in and out of files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from random_graphs import random_graph

import pvnet
from pvnet.models.par_densenet import par_densenet_graph
from pvnet.runtime import Model, measure_costs


def small_model(wiring: str = "predictive", stages: int = 2) -> Model:
    graph = par_densenet_graph(stages=stages, wiring=wiring, width=0.125, size=32)
    rng = np.random.default_rng(0)
    weights = {
        n: (np.ones(s) if n.endswith("var") else 0.1 * rng.standard_normal(s)).astype(np.float32)
        for n, s in graph.expected_weights()
    }
    return Model(graph, weights, {"task": "joints"})


def frames(n: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def test_run_over_plain_frames_is_tick_by_tick() -> None:
    plan = pvnet.compile(small_model())
    stream = plan.stream()
    want = [stream.tick(f)["heatmaps"] for f in frames(6)]
    outs = list(plan.stream().run(frames(6)))
    assert [int(o.tick[0]) for o in outs] == list(range(6))
    assert all(np.array_equal(o["heatmaps"], w) for o, w in zip(outs, want, strict=True))
    assert all(o.latency_ms > 0 for o in outs)


def test_run_over_a_synthetic_video_keeps_frames_and_time_stamps() -> None:
    source = pvnet.video.open("synthetic:seed=3,size=32x32,frames=8", size=(32, 32))
    outs = list(pvnet.compile(small_model()).stream().run(source))
    assert len(outs) == 8
    assert [o.frame.index for o in outs] == list(range(8))
    assert np.all(np.diff([o.frame.time_s for o in outs]) > 0)


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest", "latest"])
def test_every_policy_ends_and_keeps_the_order(policy: str) -> None:
    outs = list(pvnet.compile(small_model()).stream().run(iter(frames(20)), policy=policy))
    assert 1 <= len(outs) <= 20
    assert [int(o.tick[0]) for o in outs] == list(range(len(outs)))
    if policy == "block":
        assert len(outs) == 20


def test_measured_costs_cut_and_level() -> None:
    model = small_model("sequential", 1)
    costs = measure_costs(model, ticks=3)
    computing = {n.name for n in model.graph.nodes if n.cost > 0}
    assert set(costs) == computing
    assert all(us > 0 for us in costs.values())
    graph = model.graph.wire("predictive", stages=3, costs=costs)
    plan = pvnet.compile((graph, model.weights), lanes=2, costs=costs)
    total = sum(sum(lane) for lane in plan.lane_load())
    assert total == pytest.approx(sum(costs.values()), rel=1e-6)


def test_save_load_rewire(tmp_path) -> None:
    model = small_model()
    path = tmp_path / "m.safetensors"
    pvnet.save(model, path, metadata={"labels": "[]"})
    back = pvnet.load(path)
    assert back.graph == model.graph
    assert back.metadata == {"task": "joints", "labels": "[]"}
    for source in (path, str(path), path.read_bytes(), back, (back.graph, back.weights)):
        a = pvnet.compile(source).stream().tick(frames(1)[0])["heatmaps"]
        b = pvnet.compile(model).stream().tick(frames(1)[0])["heatmaps"]
        assert np.array_equal(a, b)
    assert back.rewire("sequential").graph.wiring == "sequential"
    with pytest.raises(pvnet.PvnetError):
        pvnet.compile(42)


def test_a_plan_tells_what_it_will_do() -> None:
    plan = pvnet.compile(small_model("pipelined", 7), lanes=2)
    text = json.loads(plan.to_json())
    assert text["lanes"] == 2
    assert plan.information_latency_ticks == {"heatmaps": 6}
    assert plan.warm_up_ticks == {"heatmaps": 6}
    assert plan.outputs == {"heatmaps": (13, 8, 8)}
    assert plan.inputs == {"frame": (3, 32, 32)}
    assert sum(op["tiles"] for op in plan.ops) >= len(plan.ops)
    assert plan.state_bytes > 0
    assert plan.weights_bytes > 0
    assert "pipelined" in repr(plan)


def test_ages_of_a_pipeline_and_of_a_fresh_skip() -> None:
    plan = pvnet.compile(small_model("pipelined", 2))
    stream = plan.stream()
    first, second = (stream.tick(f) for f in frames(2))
    assert first.age == {0: [-1], 1: [-1]}
    assert second.age == {0: [1], 1: [1]}
    graph = par_densenet_graph(stages=2, wiring="predictive", width=0.125, size=32, skips="head")
    rng = np.random.default_rng(0)
    weights = {n: rng.uniform(0.5, 1, s) for n, s in graph.expected_weights()}
    stream = pvnet.compile((graph, weights)).stream()
    for f in frames(8):
        out = stream.tick(f)
    assert all(int(a[0]) == 1 for a in out.age_of("heatmaps").values())


def test_ages_are_worked_out_once_a_tick_and_stay_those_of_the_tick(monkeypatch) -> None:
    stream = pvnet.compile(small_model("pipelined", 2)).stream()
    asked = []
    ages_of = stream._ages

    def counted(tick, output):
        asked.append(output)
        return ages_of(tick, output)

    monkeypatch.setattr(stream, "_ages", counted)
    first, second = (stream.tick(f) for f in frames(2))
    assert asked == []
    assert second.age is second.age
    assert second.age_of("heatmaps") is second.age
    assert first.age == {0: [-1], 1: [-1]}
    assert second.age == {0: [1], 1: [1]}
    assert asked == [0, 0]  # one for each tick


def test_random_graphs_survive_their_file(tmp_path) -> None:
    for seed in range(5):
        graph = random_graph(seed).wire("predictive", stages=2)
        rng = np.random.default_rng(seed)
        weights = {
            n: rng.uniform(0.1, 1, s).astype(np.float32) for n, s in graph.expected_weights()
        }
        pvnet.save(Model(graph, weights), tmp_path / "g.safetensors")
        back = pvnet.load(tmp_path / "g.safetensors")
        assert back.graph == graph
        assert all(np.array_equal(back.weights[n], w) for n, w in weights.items())
