"""What runs beside the ticks: order, bounds, errors; answers on frames; results in files."""

from __future__ import annotations

import csv
import json
import os
import sys
import threading
import time

import numpy as np
import pytest

import pvnet
from cli.conftest import SMALL, count_frames
from pvnet import models, video
from pvnet.cli._common.beside import Beside
from pvnet.cli._common.overlay import Overlay
from pvnet.cli._common.pairing import Pairing
from pvnet.cli._common.run_outputs import RunOutputs
from pvnet.decode import Meaning
from pvnet.models.random_weights import random_weights
from pvnet.runtime import Tick


def test_work_beside_keeps_the_order_and_is_done_at_the_end():
    done: list[int] = []
    beside = Beside(done.append, "test")
    for i in range(50):
        beside.put(i)
    beside.finish()
    assert done == list(range(50))
    beside.finish()


def test_work_beside_is_only_a_few_items_behind():
    go, done = threading.Event(), []

    def work(i: int) -> None:
        go.wait(10)
        done.append(i)

    beside = Beside(work, "test", room=2)
    for i in range(3):  # one in work, two that wait
        beside.put(i)
    more = threading.Thread(target=beside.put, args=(3,))
    more.start()
    time.sleep(0.05)
    assert more.is_alive()
    go.set()
    more.join(10)
    beside.finish()
    assert done == [0, 1, 2, 3]


def test_an_error_beside_is_raised_once_and_ends_the_work():
    def work(i: int) -> None:
        if i == 1:
            raise ValueError("of the work")

    beside = Beside(work, "test", room=1)
    with pytest.raises(ValueError, match="of the work"):  # noqa: PT012
        for i in range(100):
            beside.put(i)
    beside.put(100)
    beside.finish()


def test_an_error_on_the_last_item_is_raised_at_the_end():
    def work(i: int) -> None:
        raise ValueError("of the last")

    beside = Beside(work, "test")
    beside.put(0)
    with pytest.raises(ValueError, match="of the last"):
        beside.finish()


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_work_beside_yields_to_the_ticks():
    here, found = os.getpriority(os.PRIO_PROCESS, 0), []
    beside = Beside(lambda _: found.append(os.getpriority(os.PRIO_PROCESS, 0)), "test")
    beside.put(0)
    beside.finish()
    assert found[0] == min(here + 5, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == here


def ticks_of(wiring: str, stages: int, n: int = 12, **options: object) -> list[Tick]:
    graph = models.build(
        "par_densenet", width=0.125, size=32, stages=stages, wiring=wiring, **options
    )
    plan = pvnet.compile((graph, random_weights(graph)))
    with video.open(f"synthetic:seed=2,frames={n}", size=plan.meaning.frame_size) as source:
        return list(plan.stream().run(source))


def test_live_answers_lie_on_the_newest_frame():
    ticks = ticks_of("pipelined", 3, 5)
    pairing = Pairing("live")
    pairs = [pair for tick in ticks for pair in pairing.add(tick)]
    assert [(p.frame.index, int(p.tick.tick[0]), p.later) for p in pairs] == [
        (i, i, 0) for i in range(5)
    ]
    assert not list(pairing.rest())


def test_aligned_answers_lie_on_the_frame_that_they_heard_of():
    ticks = ticks_of("pipelined", 4, 9)
    pairing = Pairing("aligned")
    pairs = [pair for tick in ticks for pair in pairing.add(tick)]
    assert [(p.frame.index, int(p.tick.tick[0]), p.later) for p in pairs] == [
        (i, i + 3, 3) for i in range(6)
    ]
    rest = list(pairing.rest())
    assert [(p.frame.index, p.tick) for p in rest] == [(6, None), (7, None), (8, None)]


@pytest.mark.parametrize("wiring", ["sequential", "predictive"])
def test_every_frame_leaves_once_and_in_order(wiring):
    ticks = ticks_of(wiring, 5)
    pairing = Pairing("aligned")
    pairs = [pair for tick in ticks for pair in pairing.add(tick)] + list(pairing.rest())
    assert [p.frame.index for p in pairs] == list(range(12))
    if wiring == "sequential":
        assert all(p.later == 0 for p in pairs)
    else:
        told = [p for p in pairs if p.tick is not None]
        assert all(int(p.tick.tick[0]) == p.frame.index + p.later for p in told)
        assert told[-1].later == min(int(a[0]) for a in ticks[-1].age.values())


def test_a_stream_that_begins_anew_gives_up_what_waits():
    ticks = ticks_of("pipelined", 4, 2)
    pairing = Pairing("aligned")
    assert not list(pairing.add(ticks[0]))
    assert not list(pairing.add(ticks[1]))
    again = list(pairing.add(ticks[0]))
    assert [(p.frame.index, p.tick) for p in again] == [(0, None), (1, None)]


def test_an_aligned_video_has_every_frame(pvnet_cli, video_file, tmp_path, monkeypatch):
    drawn: list[tuple[int, int]] = []
    draw = Overlay.draw

    def noted(self, frame, tick, later=0):
        drawn.append((frame.index, later))
        return draw(self, frame, tick, later)

    monkeypatch.setattr(Overlay, "draw", noted)
    out = tmp_path / "o.mp4"
    words = ("--model", "par_densenet", *SMALL, "--stages", 3, "--overlay", "aligned", "--json")
    done = pvnet_cli("run", video_file, *words, "--out", out)
    assert done.code == 0, done.err
    assert done.document["overlay"] == "aligned"
    assert drawn == [(i, 2) for i in range(10)] + [(10, 0), (11, 0)]
    assert count_frames(out)[0] == 12


@pytest.mark.parametrize("end", ["jsonl", "csv", "coco.json"])
def test_run_saves_results(pvnet_cli, video_file, tmp_path, end):
    path = tmp_path / f"o.{end}"
    words = ("--model", "par_densenet", *SMALL, "--fit", "letterbox", "--save", path, "--json")
    done = pvnet_cli("run", video_file, *words)
    assert done.code == 0, done.err
    d = done.document
    assert (d["saved"], d["saved_rows"]) == (str(path), 12)
    assert [row["frame"] for row in d["results"]] == list(range(12))
    assert (d["results"][5]["width"], d["results"][5]["height"]) == (80, 60)
    if end == "jsonl":
        assert [json.loads(line) for line in path.read_text().splitlines()] == d["results"]
    elif end == "csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        head = d["results"][-1]["joints"]["head"]
        assert [float(rows[-1][f"head_{k}"]) for k in ("x", "y", "score")] == head
    else:
        assert len(json.loads(path.read_text())["images"]) == 12


def test_saved_joints_are_those_that_are_drawn(pvnet_cli, video_file, tmp_path, monkeypatch):
    seen: dict[int, np.ndarray] = {}

    def pose(picture, joints, scores):
        seen[len(seen)] = np.array(joints)
        assert picture.shape == (240, 320, 3)

    monkeypatch.setattr("pvnet.viz.draw_pose", pose)
    words = ("--model", "par_densenet", *SMALL, "--fit", "letterbox", "--json")
    d = pvnet_cli("run", video_file, *words, "--out", tmp_path / "o.mp4").document
    for row in d["results"]:
        saved = np.array(list(row["joints"].values()))[:, :2]
        drawn = (seen[row["frame"]] + 0.5) / 4 - 0.5  # the picture is enlarged
        assert np.allclose(saved, drawn, atol=0.01)


def test_rows_of_all_ticks_are_kept_where_drawing_fails(
    pvnet_cli, video_file, tmp_path, monkeypatch
):
    added: list[int] = []
    add, draw = RunOutputs.add, Overlay.draw

    def counted(self, tick):
        added.append(int(tick.tick[0]))
        add(self, tick)

    def failing(self, frame, *rest):
        if frame.index == 2:
            raise ValueError("no picture")
        return draw(self, frame, *rest)

    monkeypatch.setattr(RunOutputs, "add", counted)
    monkeypatch.setattr(Overlay, "draw", failing)
    words = ("--model", "par_densenet", *SMALL, "--save", tmp_path / "o.jsonl")
    done = pvnet_cli("run", video_file, *words, "--out", tmp_path / "o.mp4")
    assert done.code != 0
    (kept,) = (path for path in tmp_path.iterdir() if ".jsonl" in path.name)
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [row["tick"] for row in rows] == added


def test_joints_of_a_tick_are_read_once(pvnet_cli, video_file, tmp_path, monkeypatch):
    read, joints = [], Meaning.joints

    def counted(self, kept, mapping=None):
        read.append(mapping)
        return joints(self, kept, mapping)

    monkeypatch.setattr(Meaning, "joints", counted)
    words = ("--model", "par_densenet", *SMALL, "--stages", 1, "--json")
    done = pvnet_cli("run", video_file, *words, "--out", tmp_path / "o.mp4")
    assert done.code == 0, done.err
    rows = sum(row["valid"] for row in done.document["results"])
    assert rows == 12
    assert sum(mapping is not None for mapping in read) == rows


def test_an_interrupted_run_keeps_rows(pvnet_cli, video_file, model_file, tmp_path, monkeypatch):
    from pvnet.cli._common.run_outputs import RunOutputs

    add, taken = RunOutputs.add, []

    def interrupted(self, tick):
        add(self, tick)
        taken.append(tick)
        if len(taken) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunOutputs, "add", interrupted)
    path = tmp_path / "o.csv"
    done = pvnet_cli("run", video_file, "--model", model_file, "--save", path, "--json")
    assert done.code == 130
    assert done.document["saved_rows"] == 5
    assert len(path.read_text().splitlines()) == 6


def test_a_disk_that_fails_beside_ends_the_run(pvnet_cli, video_file, model_file, tmp_path):
    (tmp_path / "o.jsonl").symlink_to("/dev/full")
    words = ("--model", model_file, "--save", tmp_path / "o.jsonl", "--json")
    done = pvnet_cli("run", video_file, *words)
    assert done.code == 1
    assert done.document["error"]["type"] == "FileError"
    assert "No space left" in done.document["error"]["message"]


@pytest.mark.parametrize("name", ["o.txt", "o.json", "nowhere/o.csv"])
def test_names_that_cannot_be_saved_are_bad_usage(pvnet_cli, video_file, name, tmp_path):
    assert pvnet_cli("run", video_file, "--save", tmp_path / name).code == 2


def test_results_are_not_written_over_the_model(pvnet_cli, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("no video")
    done = pvnet_cli("run", source, "--save", source)
    assert done.code == 2
    assert source.read_text() == "no video"


def test_a_run_without_a_frame_leaves_the_old_file(pvnet_cli, model_file, tmp_path):
    (tmp_path / "empty").mkdir()
    old = tmp_path / "o.csv"
    old.write_text("old")
    done = pvnet_cli("run", tmp_path / "empty", "--model", model_file, "--save", old)
    assert done.code == 1
    assert old.read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"empty", "o.csv"}


def test_the_document_holds_the_first_rows_of_a_long_run(
    pvnet_cli, video_file, model_file, monkeypatch
):
    monkeypatch.setattr("pvnet.cli._common.run_outputs.MOST_ROWS", 5)
    d = pvnet_cli("run", video_file, "--model", model_file, "--json").document
    assert [row["tick"] for row in d["results"]] == [0, 1, 2, 3, 4]
    assert d["results_left_out"] == 7
