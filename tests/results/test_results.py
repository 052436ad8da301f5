"""Results in files and for other tools: what is in them, and that they are whole or beside."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import pvnet
from pvnet import models, results, video
from pvnet.errors import FileError, InvalidArgumentError, StateError, UnsupportedError
from pvnet.models.random_weights import random_weights
from pvnet.results.rows import Row
from pvnet.results.writer import ResultsWriter
from pvnet.runtime import Plan, Tick
from pvnet.video import JOINTS


def compiled(name: str, **options: object) -> Plan:
    graph = models.build(name, width=0.125, size=32, stages=2, wiring="pipelined", **options)
    return pvnet.compile((graph, random_weights(graph)))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compiled("par_densenet")


def ticks_of(plan: Plan, n: int = 6) -> list[Tick]:
    """Ticks on a letterboxed video of 40 x 60 pixels."""
    source = f"synthetic:seed=2,frames={n}"
    with video.open(source, size=plan.meaning.frame_size, keep_original=True) as frames:
        return list(plan.stream().run(frames))


def row(number: int = 0, score: float = 0.9) -> Row:
    joints = np.array([[10.0 + j, 20.0 + 2 * j, score] for j in range(13)], np.float32)
    return Row(number, number, number / 25, True, 1.5, (1, 3, -1), (48, 64), joints, ())


def saved(path: Path, plan: Plan, ticks: list[Tick]) -> Path:
    with ResultsWriter(path, plan, source="clip.mp4") as out:
        for tick in ticks:
            out.write(tick)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return path


def test_json_lines_have_a_row_a_tick(tmp_path, plan):
    ticks = ticks_of(plan)
    lines = saved(tmp_path / "a.jsonl", plan, ticks).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [r["tick"] for r in rows] == [0, 1, 2, 3, 4, 5]
    assert [r["time_s"] for r in rows] == pytest.approx([t.frame.time_s for t in ticks], abs=1e-6)
    assert [r["valid"] for r in rows] == [False, True, True, True, True, True]
    assert rows[0]["age_ticks"] == [None, None]
    assert "joints" not in rows[0]
    assert (rows[1]["newest_age_ticks"], rows[1]["oldest_age_ticks"]) == (1, 1)
    for told, tick in zip(rows[1:], ticks[1:]):
        assert list(told["joints"]) == list(JOINTS)
        assert np.allclose(list(told["joints"].values()), tick.joints[0], atol=0.006)


def test_csv_has_the_same_numbers(tmp_path, plan):
    ticks = ticks_of(plan)
    with saved(tmp_path / "a.csv", plan, ticks).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[0]["head_x"] == ""
    for told, tick in zip(rows[1:], ticks[1:]):
        assert float(told["left_knee_y"]) == pytest.approx(float(tick.joints[0, 9, 1]), abs=0.006)


def test_actions_are_named_by_their_probability(tmp_path):
    plan = compiled("par_inception", classes=4)
    ticks = ticks_of(plan, 20)
    with saved(tmp_path / "a.csv", plan, ticks).open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    best = ticks[-1].actions(5)[0]
    assert [last[f"action_{i + 1}"] for i in range(4)] == [name for name, _ in best]
    assert last["action_5"] == ""
    assert float(last["action_1_probability"]) == pytest.approx(best[0][1], abs=1e-4)
    assert results.row_of(ticks[-1]).document()["actions"][0][0] == best[0][0]


def test_parquet_has_the_rows_of_the_csv(tmp_path, plan):
    parquet = pytest.importorskip("pyarrow.parquet")
    ticks = ticks_of(plan)
    table = parquet.read_table(saved(tmp_path / "a.parquet", plan, ticks))
    assert table.to_pylist() == [results.row_of(tick).flat("joints") for tick in ticks]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, plan, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pvnet-video\[parquet\]"):
        ResultsWriter(tmp_path / "a.parquet", plan)
    assert not list(tmp_path.iterdir())


def test_coco_has_people_with_our_joints(tmp_path, plan):
    with ResultsWriter(tmp_path / "a.coco.json", plan, source="clip.mp4") as out:
        for one in (row(0), row(1, score=0.1), row(2)):
            out.write_row(one)
    d = json.loads((tmp_path / "a.coco.json").read_text())
    assert [i["id"] for i in d["images"]] == [1, 2, 3]
    assert d["images"][2]["file_name"] == "clip.mp4#2"
    assert [a["image_id"] for a in d["annotations"]] == [1, 3]
    (person,) = d["categories"]
    assert person["keypoints"] == list(JOINTS)
    assert min(min(bone) for bone in person["skeleton"]) == 1
    first = d["annotations"][0]
    assert first["num_keypoints"] == 13
    assert first["keypoints"][:6] == [10.0, 20.0, 2, 11.0, 22.0, 2]
    assert first["bbox"] == [10.0, 20.0, 12.0, 24.0]


def test_an_unseen_joint_is_not_labelled(tmp_path, plan):
    one = row()
    one.joints[4, 2] = 0.1
    with ResultsWriter(tmp_path / "a.coco.json", plan) as out:
        out.write_row(one)
    (person,) = json.loads((tmp_path / "a.coco.json").read_text())["annotations"]
    assert person["keypoints"][12:15] == [0, 0, 0]
    assert person["num_keypoints"] == 12


def test_an_empty_coco_file_is_one(tmp_path, plan):
    with ResultsWriter(tmp_path / "a.coco.json", plan):
        pass
    assert json.loads((tmp_path / "a.coco.json").read_text())["images"] == []


@pytest.mark.parametrize("end", [".jsonl", ".csv", ".coco.json"])
def test_an_error_keeps_the_rows_beside(tmp_path, plan, end):
    path = tmp_path / f"a{end}"
    path.write_text("old")

    def write() -> ResultsWriter:
        with ResultsWriter(path, plan) as out:
            out.write_row(row())
            raise RuntimeError("of somebody else")

    with pytest.raises(RuntimeError):
        write()
    assert path.read_text() == "old"
    (part,) = set(tmp_path.iterdir()) - {path}
    assert ".partial" in part.name
    text = part.read_text()
    assert "head" in text
    if end == ".coco.json":
        assert len(json.loads(text)["annotations"]) == 1


def test_a_killed_program_leaves_every_row(tmp_path, plan):
    out = ResultsWriter(tmp_path / "a.jsonl", plan)
    out.write_row(row(0))
    out.write_row(row(1))
    lines = (tmp_path / "a.partial.jsonl").read_text().splitlines()
    assert [json.loads(line)["tick"] for line in lines] == [0, 1]
    out.close()
    with pytest.raises(StateError):
        out.write_row(row(2))


def test_a_full_disk_is_told(tmp_path, plan):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    out = ResultsWriter(tmp_path / "a.jsonl", plan)
    with pytest.raises(FileError, match="No space left"):
        out.write_row(row())


def test_other_ends_and_networks_are_refused(tmp_path, plan):
    for name in ("a.txt", "a.json", ".jsonl", "a"):
        with pytest.raises(InvalidArgumentError, match=r"\.coco\.json"):
            ResultsWriter(tmp_path / name, plan)
    with pytest.raises(UnsupportedError, match="key points"):
        ResultsWriter(tmp_path / "a.coco.json", compiled("par_inception", classes=4))
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=8, width=8)
    graph.output(graph.conv3d(x, 2, kernel=(1, 3, 3), name="c"), name="depth")
    depth = pvnet.compile((graph, random_weights(graph)))
    with pytest.raises(UnsupportedError, match="neither joints nor actions"):
        ResultsWriter(tmp_path / "a.csv", depth)
    assert not list(tmp_path.iterdir())
