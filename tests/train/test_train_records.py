"""bench/accuracy/record_files.py: scores in a JSONL, those of the clips in an NPZ beside it."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pvnet.errors import FileError

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench" / "accuracy"
SHIPPED = sorted((BENCH / "records").glob("*.jsonl"))
ROW = "predictive_k10_clocks-i3d_as_predictive_k10_p0"
MESSAGE = re.compile(r"^\[accuracy\.records\] .+: got .+, expected .+\. .+\.$", re.DOTALL)


@pytest.fixture
def files(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import record_files

    return record_files


def record(name: str, experiment: str = "stages", seed: int = 0) -> dict:
    rng = np.random.default_rng([seed, *name.encode()])
    pairs = {m: rng.random((5, 2)).tolist() for m in ("top1", "tick_top1")}
    result = {"top1": rng.random(), "size": [96, 128]}
    about = {"name": name, "experiment": experiment, "seed": seed}
    return about | {"result": result, "per_clip": pairs}


def read(files, path: Path) -> list[dict]:
    """As they were given."""
    return [
        r | {"per_clip": {m: a.tolist() for m, a in r["per_clip"].items()}}
        for r in files.read_records(path)
    ]


def both(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), path.with_suffix(".npz").read_bytes()


def test_records_come_back_as_they_were_in_the_order_of_experiment_and_name(files, tmp_path):
    path = tmp_path / "folder" / "setting-seed0.jsonl"
    assert files.read_records(path) == []
    given = [record("b"), record("a", "techniques"), record("a")]
    for one in given:
        files.add_record(path, one)
    assert read(files, path) == [given[2], given[0], given[1]]
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()] == ["a", "b", "a"]
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        assert arrays["techniques/a/top1"].tolist() == given[1]["per_clip"]["top1"]


def test_the_same_records_are_the_same_bytes_whenever_they_were_added(files, tmp_path, monkeypatch):
    given = [record("a"), record("b"), record("c")]
    for one in given:
        files.add_record(tmp_path / "x.jsonl", one)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    for one in reversed(given):
        files.add_record(tmp_path / "y.jsonl", one)
    assert both(tmp_path / "x.jsonl") == both(tmp_path / "y.jsonl")
    with zipfile.ZipFile(tmp_path / "y.npz") as archive:
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_DEFLATED}


def test_a_record_replaces_the_one_of_its_experiment_and_name(files, tmp_path):
    path = tmp_path / "x.jsonl"
    for one in (record("a"), record("b"), record("a", seed=1)):
        files.add_record(path, one)
    assert read(files, path) == [record("a", seed=1), record("b")]


@pytest.mark.parametrize("name", ["b", "new"])
@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_run_killed_between_two_writes_loses_no_other_record(
    files, tmp_path, monkeypatch, name, writes
):
    class Killed(BaseException):
        pass

    path, whole = tmp_path / "x.jsonl", tmp_path / "whole.jsonl"
    for one in ("a", "b", "c"):
        files.add_record(path, record(one))
        files.add_record(whole, record(one))
    files.add_record(whole, record(name, seed=1))
    done = []

    def until(write):
        def killed(*args, **options):
            if len(done) == writes:
                raise Killed
            done.append(write)
            return write(*args, **options)

        return killed

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_whole", until(files.write_whole))
        patch.setattr(files, "whole_file", until(files.whole_file))
        if (name, writes) == ("new", 2):  # a new one needs no more
            files.add_record(path, record(name, seed=1))
        else:
            with pytest.raises(Killed):
                files.add_record(path, record(name, seed=1))
    others = [r for r in read(files, path) if r["name"] != name]
    assert others == [record(one) for one in ("a", "b", "c") if one != name]
    files.add_record(path, record(name, seed=1))
    assert both(path) == both(whole)


def test_two_runs_that_add_at_the_same_time_keep_both_records(files, tmp_path, monkeypatch):
    def slow(*args, write=files._write_arrays):
        time.sleep(0.05)
        write(*args)

    monkeypatch.setattr(files, "_write_arrays", slow)
    path = tmp_path / "x.jsonl"
    given = [record("a", name) for name in ("clocks", "latency", "stages", "techniques")]
    threads = [threading.Thread(target=files.add_record, args=(path, one)) for one in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(files, path) == given


def _other_npz(path: Path) -> None:
    shutil.copy(path.with_name("other.npz"), path.with_suffix(".npz"))


def _other_jsonl(path: Path) -> None:
    shutil.copy(path.with_name("other.jsonl"), path)


def _without_npz(path: Path) -> None:
    path.with_suffix(".npz").unlink()


def _cut_npz(path: Path) -> None:
    file = path.with_suffix(".npz")
    file.write_bytes(file.read_bytes()[:-30])


def _flipped_npz(path: Path) -> None:
    file = path.with_suffix(".npz")
    data = bytearray(file.read_bytes())
    data[200] ^= 255
    file.write_bytes(data)


def _no_zip(path: Path) -> None:
    with path.with_suffix(".npz").open("wb") as file:
        np.save(file, np.zeros(3))


def _clips_in_another_order(path: Path) -> None:
    with np.load(path.with_suffix(".npz")) as file:
        arrays = {name: file[name][::-1] for name in file.files}
    np.savez(path.with_suffix(".npz"), **arrays)


def _without_one_array(path: Path) -> None:
    with np.load(path.with_suffix(".npz")) as file:
        arrays = {name: file[name] for name in file.files if name != "stages/b/top1"}
    np.savez(path.with_suffix(".npz"), **arrays)


def _objects(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), **{"stages/a/top1": np.array([None, "x"], object)})


def _cut_line(path: Path) -> None:
    path.write_text(path.read_text()[:-40])


def _double_line(path: Path) -> None:
    path.write_text(path.read_text() + path.read_text())


def _line_without_clips(path: Path) -> None:
    path.write_text(path.read_text() + json.dumps({"name": "c", "experiment": "stages"}) + "\n")


DAMAGES = {
    _other_npz: "got other scores 'stages/a/top1'",
    _other_jsonl: "got other scores 'stages/a/top1'",
    _clips_in_another_order: "got other scores 'stages/a/top1'",
    _without_one_array: "got no scores 'stages/b/top1'",
    _without_npz: "x.npz' cannot be read",
    _cut_npz: "x.npz' cannot be read",
    _flipped_npz: "x.npz' cannot be read",
    _no_zip: "x.npz' cannot be read",
    _objects: "x.npz' cannot be read",
    _cut_line: "x.jsonl' is damaged in line 2",
    _double_line: "x.jsonl' is damaged in line 3",
    _line_without_clips: "x.jsonl' is damaged in line 3",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__.strip("_"))
def test_files_that_do_not_belong_together_are_refused(files, tmp_path, damage):
    path = tmp_path / "x.jsonl"
    for name in ("a", "b"):
        files.add_record(path, record(name))
        files.add_record(tmp_path / "other.jsonl", record(name, seed=1))
    damage(path)
    before = path.read_bytes()
    for use in (files.read_records, lambda p: files.add_record(p, record("c"))):
        with pytest.raises(FileError, match=MESSAGE) as caught:
            use(path)
        assert DAMAGES[damage] in str(caught.value)
    assert path.read_bytes() == before


def test_a_row_whose_line_is_deleted_is_scored_again(files, tmp_path):
    path = tmp_path / "x.jsonl"
    for name in ("a", "b"):
        files.add_record(path, record(name))
    whole = both(path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:1]))
    assert read(files, path) == [record("a")]
    files.add_record(path, record("b"))
    assert both(path) == whole


def test_every_record_of_the_repository_has_its_pair(files):
    assert SHIPPED
    there = {p.name for p in (BENCH / "records").iterdir() if p.is_file() and p.suffix != ".lock"}
    assert there == {p.with_suffix(end).name for p in SHIPPED for end in (".jsonl", ".npz")}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_scores_of_the_repository_are_those_of_their_clips(files, path):
    records = files.read_records(path)
    assert [files.key(r) for r in records] == sorted(files.key(r) for r in records)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        wanted = {f"{r['experiment']}/{r['name']}/{m}" for r in records for m in r["per_clip"]}
        assert set(arrays.files) == wanted
    for one in records:
        result = one["result"]
        assert len(one["per_clip"]) == 2
        assert path.stem.startswith(f"{result['task']}-{one['data'].partition('?')[0]}")
        assert path.stem.endswith(f"-seed{one['seed']}")
        for metric, pairs in one["per_clip"].items():
            assert pairs.shape == (result["clips"], 2)
            total, count = pairs.sum(axis=0)
            assert total / count == result[metric]


def test_a_table_of_no_records_says_so(files, tmp_path, monkeypatch, capsys):
    import table

    monkeypatch.setattr(sys, "argv", ["table.py", "--records", str(tmp_path)])
    with pytest.raises(SystemExit):
        table.main()
    assert "--records: got no *.jsonl" in capsys.readouterr().err


def test_scores_of_a_shipped_model_come_from_one_row(files, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import ship_weights

    path = BENCH / "records" / "actions-jhmdb-split1-seed0.jsonl"
    (one,) = (r for r in files.read_records(path) if files.key(r) == ("clocks", ROW))
    shown = ship_weights.scores(path, f"clocks/{ROW}")
    assert shown["top1"] == round(one["result"]["top1"], 4)
    assert shown["stages"] == one["result"]["stages"]
    with pytest.raises(SystemExit, match=f"expected one of .*clocks/{ROW}"):
        ship_weights.scores(path, ROW)


def test_exact_late_answers_have_rows_of_their_own(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import matrix

    found = {r.name: r.late for r in matrix.rows("stages", "joints") if r.label.startswith("exact")}
    assert found == {f"sequential_k1_as_sequential_k1_late{n}_p0": n for n in (1, 2, 4)}
    assert not any(r.late for r in matrix.rows("techniques", "joints"))
