"""bench/accuracy/rates.py and grid.py: which frames an answer is of, and what is trained."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pvnet import models, runtime
from pvnet.graph import Graph

BENCH = Path(__file__).resolve().parents[2] / "bench" / "accuracy"


@pytest.fixture
def rates(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import rates

    return rates


@pytest.fixture
def grid(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import grid

    return grid


def one_joint_a_frame(ticks: int) -> SimpleNamespace:
    """A clip whose joints lie at (10 t, j) in frame t."""
    joints = np.zeros((ticks, 13, 2), np.float32)
    joints[..., 0] = 10 * np.arange(1, ticks + 1)[:, None]
    joints[..., 1] = np.arange(1, 14)
    return SimpleNamespace(joints=joints, visible=np.ones((ticks, 13), np.bool_))


def test_a_clip_comes_after_its_beginning_backwards(rates):
    assert rates.reflect(5, 3).tolist() == [3, 2, 1, 0, 1, 2, 3, 4]
    assert rates.reflect(3, 6).tolist() == [2, 1, 0, 1, 2, 1, 0, 1, 2]
    assert rates.reflect(4, 0).tolist() == [0, 1, 2, 3]
    assert rates.reflect(1, 2).tolist() == [0, 0, 0]


def test_late_answers_are_of_frames_before_and_asked_ones_belong_to_them(rates):
    clip = one_joint_a_frame(20)
    late = rates.score_clip(clip.joints, clip, late=3, asked=0, scale=(1.0, 1.0))
    assert late["mean_error_px"] == (30.0 * 6 * 13, 6 * 13)
    assert rates.score_clip(clip.joints, clip, late=3, asked=3, scale=(1.0, 1.0))[
        "mean_error_px"
    ] == (0.0, 6 * 13)
    wide = rates.score_clip(clip.joints, clip, late=1, asked=0, scale=(4.0, 2.0))
    assert wide["mean_error_px"] == (40.0 * 6 * 13, 6 * 13)


def heard_network(delay: int) -> runtime.Model:
    """Heatmaps with a peak where the frame of `delay` ticks ago had its brightest pixel."""
    graph = Graph()
    x = graph.input("frame", channels=3, height=32, width=32)
    x = graph.conv3d(x, 13, kernel=(1, 1, 1), name="maps")
    graph.output(graph.delay(x, delay) if delay else x, name="heatmaps")
    weights = {"maps.weight": np.ones((13, 3, 1, 1, 1), np.float32)}
    weights["maps.bias"] = np.zeros(13, np.float32)
    return runtime.Model(graph, weights, {})


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_frame_has_an_answer_of_the_frame_a_tick_before(rates, stride):
    frames = np.zeros((9, 32, 32, 3), np.uint8)
    for t in range(9):
        frames[t, 10, 3 * t + 2] = 255
    now = rates.Emitter(heard_network(0))(frames, stride)
    before = rates.Emitter(heard_network(1), before=2)(frames, stride)
    asked = rates.Emitter(heard_network(1), before=2, first=5)(frames, stride)
    assert (asked[5:] == before[5:]).all()
    assert not asked[:5].any()
    assert (np.diff(now[:, 0, 0]) > 2).all()
    assert np.allclose(before[stride:], now[:-stride], atol=1e-3)


def test_every_rate_scores_the_same_frames_and_has_them(rates):
    rows = list(rates.list_rows("movenet"))
    assert len({row.name for row in rows}) == len(rows)
    assert {row.stages for row in rows} == {1, 2, 4, 7, 14}
    for row in rows:
        assert max(row.late, row.asked) * row.stride <= rates.FIRST
    for file, stages, stride in {(r.file, r.stages, r.stride) for r in rows if r.stages > 1}:
        outputs = rates.load(file, stages).graph.outputs
        assert max(o.warm_up_ticks for o in outputs) * stride <= rates.FIRST
    for stride in rates.STRIDES:
        late = {row.late for row in rows if row.stages == 1 and row.stride == stride}
        assert late >= {0, 1, 2, 3, 4}


def test_lanes_in_turns_are_late_by_the_work_of_all_stages_less_one(rates):
    rows = [rates.Row("movenet_sequential", stages, 1) for stages in (2, 4, 7, 14)]
    assert [rates.late_in_turns(row) for row in rows] == [1, 2, 3, 11]


def test_kernels_that_know_no_past_yet_change_nothing(grid):
    model = models.pretrained("par_densenet_sequential")
    graph = models.build("par_densenet", size=(64, 80), width=0.375)
    small = runtime.Model(graph, model.weights, model.metadata)
    grown = grid.give_past(small, 3)
    assert grown.weights["head/conv.weight"].shape[2] == 3
    assert grown.graph.outputs[0].receptive_field_frames > 50
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 80, 3), np.uint8)
    streams = [runtime.compile(m, lanes=1).stream() for m in (small, grown)]
    for frame in frames:
        one, other = (s.tick(frame)["heatmaps"][0] for s in streams)
        assert np.allclose(one, other, atol=1e-4)


def test_the_grid_trains_no_cell_that_a_pipeline_answers_exactly(grid):
    cells = [cell for part in grid.ROUNDS for cell in part]
    assert len(set(cells)) == len(cells)
    predictive = [cell for cell in cells if cell.stages > 1]
    assert all(cell.latency < cell.stages - 1 or cell.latency == 0 for cell in predictive)
    assert all(cell.latency == 0 for cell in cells if cell.stages == 1)
    in_order = list(grid.order())
    assert {cell for cell, _ in in_order} == set(cells)
    assert len(in_order) == len(cells) * len(grid.SEEDS)


def test_students_of_a_seed_differ_in_timing_alone(grid):
    args = argparse.Namespace(data="figures")
    one = grid.configuration("student", 1000, args, "a.safetensors")
    assert one.run.seed == 1000
    assert one.run.norm == "frozen"
    assert one.run.threads == 1
    assert one.model.start == "a.safetensors"
    teacher = grid.configuration("teacher", 0, args, "par_densenet_sequential")
    assert teacher.model.options == one.model.options


def test_rows_of_the_grid_have_names_of_their_own_and_rivals(grid):
    rows = [*grid.list_rows(1), *grid.list_rows(3)]
    assert len({row.name for row in rows}) == len(rows)
    assert {r.stages for r in rows if r.every > 1 or r.late} == {1}  # rivals are sequential
    assert {r.every for r in grid.list_rows(3) if r.every > 1} == {4, 5}


@pytest.mark.parametrize("folder", ["rates", "grid"])
def test_kept_scores_are_those_of_their_clips(rates, folder):
    import record_files

    paths = sorted((BENCH / "records" / folder).glob("*.jsonl"))
    assert paths
    for path in paths:
        text = path.read_text()
        assert "jhmdb:" not in text  # the place where the data lie
        for one in record_files.read_records(path):
            assert set(one["per_clip"]) == set(rates.KEPT)
            for metric, pairs in one["per_clip"].items():
                assert pairs.shape == (171, 2)
                total, count = pairs.sum(axis=0)
                low, high = one["result"][f"{metric}_interval"]
                assert one["result"][metric] == pytest.approx(total / count)
                assert low < one["result"][metric] < high


def test_a_table_has_rows_that_every_seed_has(grid, tmp_path, capsys, monkeypatch):
    import grid_table
    import record_files

    rows = [r for r in grid.list_rows(1) if r.label.startswith("exact, ")]
    exact, late = rows[:2]
    rng = np.random.default_rng(0)
    for seed in grid.SEEDS:
        path = tmp_path / f"{grid.SETTING}-seed{seed}.jsonl"
        for row in (exact, late)[: 2 if seed else 1]:
            pairs = np.stack([rng.integers(0, 9, 171), np.full(171, 9)], axis=1)
            result = {
                name: float(pairs[:, 0].sum() / pairs[:, 1].sum()) for name in grid_table.KEPT
            }
            record = {"name": row.name, "experiment": "grid", "label": row.label, "seed": seed}
            scores = {"result": result, "per_clip": dict.fromkeys(grid_table.KEPT, pairs)}
            record_files.add_record(path, record | scores)
    assert set(grid_table.read(tmp_path)) == {exact.name}
    monkeypatch.setattr("sys.argv", ["grid_table.py", "--records", str(tmp_path)])
    grid_table.main()
    out = capsys.readouterr().out
    assert out.count("| exact, at once |") == 1
    assert "1 tick late" not in out
