"""`pvnet train`, `distill`, `eval` and the experiments, on data in memory."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from small_runs import SIZE, figures, source_of

from pvnet import data
from pvnet.cli.__main__ import main

LEFT_OUT = {"total": 3, "counts": {"missing": 2, "short": 1}, "listed": ["missing: a", "..."]}
BENCH = Path(__file__).resolve().parents[2] / "bench" / "accuracy"
SMALL = [
    "model.options={size = [32, 32], width = 0.125}",
    "run.steps=2",
    "run.batch=2",
    "run.threads=1",
    "run.device=cpu",
    "data.frames=9",
]


@pytest.fixture(autouse=True)
def data_in_memory(monkeypatch):
    """Whatever is asked for: three figures."""
    asked = []

    def open_dataset(spec, **options):
        asked.append((spec, options))
        assert options["size"] == SIZE
        made = figures(3, options["frames"] or 20)
        if spec == "skips":
            about = {**made.describe(), "name": made.name, "left_out": LEFT_OUT}
            monkeypatch.setattr(type(made), "describe", lambda _: about)
        return made

    def loader(dataset, *, batch, rank, world, start_batch, **_):
        return source_of(dataset, batch).batches(start_batch, rank, world)

    monkeypatch.setattr(data, "open_dataset", open_dataset)
    monkeypatch.setattr(data, "loader", loader, raising=False)
    return asked


def pvnet(*words: object) -> tuple[int, dict, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*(str(w) for w in words), "--json"])
    return code, json.loads(out.getvalue()), err.getvalue()


def test_train_distill_eval(tmp_path, data_in_memory):
    toml = tmp_path / "run.toml"
    toml.write_text('[data]\ntrain = "somewhere:/private/place"\nheld_out = "held"\n')
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    code, document, err = pvnet("train", toml, SMALL[0], "--out", teacher, *SMALL[1:])
    assert (code, err) == (0, "evaluating on held\n")
    assert document["steps"] == 2
    assert document["held_out"]["clips"] == 3
    # Opened before the training: a mistake in its name is not found out hours later.
    assert [spec for spec, _ in data_in_memory] == ["held", "somewhere:/private/place"]
    assert [options["train"] for _, options in data_in_memory] == [False, True]
    kept = json.loads((teacher / "result.json").read_text())
    assert kept["held_out"] == document["held_out"]

    model = teacher / "model.safetensors"
    assert b"/private/place" not in model.read_bytes()
    wiring = ["model.wiring=predictive", "model.stages=3", "data.held_out="]
    code, document, _ = pvnet(
        "distill", toml, *SMALL, *wiring, "--teacher", model, "--weight", 0.5, "--out", student
    )
    assert code == 0
    assert document["config"]["distill"]["weight"] == 0.5
    last = document["last"]
    assert last["loss"] == pytest.approx(last["task"] + 0.5 * last["matching"], rel=1e-5)

    words = ("eval", "--data", "held", "--split", 1, "--model", model, "--task", "joints")
    code, document, _ = pvnet(*words, "--wiring", "predictive", "--stages", 3)
    assert code == 0
    assert (document["wiring"], document["stages"], document["split"]) == ("predictive", 3, 1)
    low, high = document["pck@0.2_box_interval"]
    assert low <= document["pck@0.2_box"] <= high
    code, document, _ = pvnet(*words, "--stages", 3, "--subsample", "--first-tick", 9)
    assert code == 0
    assert document["wiring"] == "sequential"
    assert document["protocol"]["every"] > 1
    assert document["first_scored_tick"] == 9


def test_people_are_told_what_was_left_out_and_that_a_run_goes_on(tmp_path, data_in_memory):
    (tmp_path / "a.toml").write_text('[data]\ntrain = "skips"\n')
    words = ("train", tmp_path / "a.toml", *SMALL, "--out", tmp_path / "run")
    code, document, err = pvnet(*words)
    assert code == 0
    assert err.startswith("3 videos of figures in memory left out (2 missing, 1 short); ")
    assert "data.json lists them" in err
    listed = json.loads((tmp_path / "run" / "data.json").read_text())["left_out"]["listed"]
    assert listed == LEFT_OUT["listed"]
    assert pvnet(*words)[2].endswith("going on at step 2\n")
    assert pvnet(*words, "--quiet")[2] == ""
    words = ("eval", "--data", "skips", "--model", document["model"])
    code, document, err = pvnet(*words)
    assert code == 0
    assert err.startswith("3 videos of figures in memory left out")
    assert document["left_out"] == LEFT_OUT
    assert document["problems"] == []


def test_other_classes_of_the_held_out_clips_are_said_before_the_training(tmp_path, monkeypatch):
    def open_dataset(spec, **options):
        made = figures(3, options["frames"] or 20)
        made.classes = tuple("abcdefghijklmnopqr") if spec == "held" else made.classes
        return made

    monkeypatch.setattr(data, "open_dataset", open_dataset)
    (tmp_path / "a.toml").write_text('[model]\nname = "par_inception"\n[data]\nheld_out = "held"\n')
    code, document, _ = pvnet("train", tmp_path / "a.toml", *SMALL, "--out", tmp_path / "run")
    assert code == 1
    assert "was trained for other classes" in document["error"]["message"]
    assert not (tmp_path / "run" / "state.safetensors").exists()


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory ran out"),
        (MemoryError("oh"), "memory ran out"),
        (ZeroDivisionError("oh"), "this should not happen"),
    ],
)
def test_what_nobody_foresaw_is_still_one_document(error, what, tmp_path, monkeypatch):
    def broken(spec, **options):
        raise error

    monkeypatch.setattr(data, "open_dataset", broken)
    (tmp_path / "a.toml").write_text("[run]\n")
    code, document, err = pvnet("train", tmp_path / "a.toml", *SMALL)
    assert code == 1
    assert document["error"]["type"] == type(error).__name__
    message = document["error"]["message"]
    assert re.match(rf"^\[train\] {what}: got .+, expected .+\. .+\.$", message)
    assert "Traceback" in err


def test_bad_usage_and_unknown_keys(tmp_path):
    code, document, _ = pvnet("train", tmp_path / "none.toml")
    assert (code, document["error"]["type"]) == (1, "FileError")
    (tmp_path / "a.toml").write_text("[run]\n")
    code, document, _ = pvnet("train", tmp_path / "a.toml", "run.stepz=1")
    assert code == 1
    assert "run.stepz" in document["error"]["message"]
    assert pvnet("eval", "--data", "held")[0] == 2
    assert pvnet("train", tmp_path / "a.toml", "--steps=1")[0] == 2
    assert pvnet("info", "movenet", "run.steps=1")[0] == 2


@pytest.mark.parametrize(("experiment", "task"), [("clocks", "joints"), ("latency", "actions")])
def test_experiments_that_say_nothing_are_refused(experiment, task, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCH))
    import run

    words = ["run.py", experiment, "--task", task, "--data", "held", "--list"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        run.main()
    assert f"{experiment}: " in capsys.readouterr().err


def test_evaluation_needs_no_torch():
    program = "import sys, pvnet.evaluate, pvnet.cli.eval; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_experiment_is_trained_scored_and_drawn_and_not_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCH))
    import matrix
    import record_files
    import run
    import table

    monkeypatch.setattr(matrix, "STAGES", {"joints": (2, 7), "actions": (2, 5)})
    words = ["run.py", "techniques", "--task", "joints", "--data", "held:/private/place"]
    words += ["--runs", str(tmp_path / "runs"), "--records", str(tmp_path / "records")]
    words += [*SMALL[1:], "model.options={size=[32, 32], width=0.125}", "run.precision=f32"]
    words += ["data.resident=false", "data.workers=0", "data.fps=0.0", "data.frames=9"]
    monkeypatch.setattr(sys, "argv", words)
    run.main()
    assert "training" in capsys.readouterr().out
    path = tmp_path / "records" / "joints-held-seed0.jsonl"
    records = record_files.read_records(path)
    at_seed_0 = {r["name"] for r in records}
    assert len(records) == len({r.name for r in matrix.rows("techniques", "joints")})
    assert {r["experiment"] for r in records} == {"techniques"}
    assert len({r["result"]["first_scored_tick"] for r in records}) == 1
    assert "/private/place" not in path.read_text()
    whole = (path.read_bytes(), path.with_suffix(".npz").read_bytes())
    run.main()
    assert capsys.readouterr().out.count("\n") == 1  # nothing is trained or scored
    # A row whose line is gone is scored again, alone.
    path.write_bytes(whole[0][: whole[0].index(b"\n") + 1])
    run.main()
    out = capsys.readouterr().out
    assert "training" not in out
    assert out.count("scoring") == len(records) - 1
    assert (path.read_bytes(), path.with_suffix(".npz").read_bytes()) == whole
    monkeypatch.setattr(
        sys,
        "argv",
        ["table.py", "--records", str(tmp_path / "records"), "--out", str(tmp_path / "out")],
    )
    table.main()
    text = (tmp_path / "out" / "accuracy.md").read_text()
    assert "+ skips, distillation" in text
    assert text.count("\n|") == 2 + len(records)
    argv = [*sys.argv, "--against", "sequential", "--score", "pck@0.2_person"]
    monkeypatch.setattr(sys, "argv", argv)
    table.main()
    apart = (tmp_path / "out" / "accuracy.md").read_text()
    assert "pck@0.2_person against sequential" in apart
    # Everything but that row itself has a difference to it.
    assert len(re.findall(r"\| [+-]0\.\d+ \([+-]", apart)) == len(records) - 1

    monkeypatch.setattr(sys, "argv", [*sys.argv[:5], "--score", "pck@2"])
    with pytest.raises(SystemExit):
        table.main()
    assert "pck@0.2_box, pck@0.2_person" in capsys.readouterr().err

    # Another seed of the students alone: the teacher is neither trained nor scored again.
    seeded = [*words, "--seed", "3", "--teacher-seed", "0"]
    monkeypatch.setattr(sys, "argv", [*seeded, "--without", "+ distillation"])
    run.main()
    assert "training sequential" not in capsys.readouterr().out
    of_seed_3 = record_files.read_records(path.with_name("joints-held-seed3.jsonl"))
    assert {r["name"] for r in of_seed_3} < at_seed_0
    for record in of_seed_3:
        assert (record["seed"], record["teacher_seed"]) == (3, 0)
        assert record["row"]["training"]["wiring"] == "predictive"
    argv = ["table.py", "--records", str(tmp_path / "records"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", argv)
    table.main()
    both = (tmp_path / "out" / "accuracy.md").read_text()
    skips = next(line for line in both.splitlines() if "| + skips |" in line)
    assert re.search(r"\) \[[+-]0\.\d+, [+-]0\.\d+\] \|", skips)  # both seeds' own differences
    # A row that one seed has is compared with that seed of the other row alone.
    only, before = (
        next(line for line in t.splitlines() if "| + distillation |" in line) for t in (both, text)
    )
    assert only.split("|")[5] == before.split("|")[5]


def test_rows_are_left_out_by_their_label_or_by_a_part_of_it(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import matrix
    import run

    def left(*without):
        rows = run.keep_rows(list(matrix.rows("techniques", "joints")), list(without))
        return [row.label for row in rows]

    assert "+ skips" in left()
    assert [r for r in left() if r not in left("+ skips")] == ["+ skips"]
    assert not [r for r in left("skips") if "skips" in r]
    assert "predictive, trained" in left("skips")


def test_old_labels_are_taken_with_a_note(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCH))
    import matrix
    import run

    argv = ["run.py", "stages", "--task", "joints", "--data", "held", "--list", "--without"]
    monkeypatch.setattr(sys, "argv", [*argv, "predictive, trained longer"])
    run.main()
    out, err = capsys.readouterr()
    assert "predictive, fine-tuned" not in out
    assert err == "note: 'predictive, trained longer' is called 'predictive, fine-tuned' now\n"
    assert matrix.read_label("+ skips, trained longer again") == "+ skips, fine-tuned twice"
    assert matrix.read_label("trained, mean of 4") == "trained, weight average of 4"
    labels = {row.label for row in matrix.rows("stages", "joints")}
    assert all(matrix.read_label(label) == label for label in labels)


def test_the_teacher_has_a_pretraining_and_collages_where_the_settings_say(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import argparse

    import matrix
    import run

    args = argparse.Namespace(
        task="joints",
        data="jhmdb:F?joints=truth",
        split=1,
        seed=3,
        motion="T",
        overrides=[],
        settings="",
    )
    ground = run.configuration(matrix.Training(pretraining=True), args, "")
    teacher = run.configuration(matrix.Training(), args, "ground.safetensors")
    assert ground.data.train == "jhmdb:F?joints=truth"
    assert ground.data.resident
    assert teacher.data.train == "jhmdb:F?joints=truth&cutouts=0.35&puppets=0.25&motion=T"
    assert teacher.model.start == "ground.safetensors"
    assert matrix.Training(pretraining=True).name != matrix.Training().name
    # Other settings say what differs, and have folders of their own.
    other = argparse.Namespace(**(vars(args) | {"settings": "gpu"}))
    assert run.configuration(matrix.Training(), other).data.copies > 1
    assert run.configuration(matrix.Training(pretraining=True), other, "") == ground  # not named
    assert (run.folder(args), run.folder(other)) == (
        "joints-jhmdb-split1-seed3",
        "joints-jhmdb-gpu-split1-seed3",
    )


def test_settings_and_runs_with_old_words_are_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCH))
    import matrix
    import run

    path = tmp_path / "joints-x.toml"
    old_roles = ("groundwork", "teacher", "longer", "again")
    path.write_text("".join(f"[{role}.run]\nsteps = 3\n" for role in old_roles))
    settings = run.read_settings(path)
    assert list(settings) == ["pretraining", "teacher", "finetuning", "finetuning2"]
    assert all(sections == {"run": {"steps": 3}} for sections in settings.values())
    assert capsys.readouterr().err == (
        "note: [groundwork] of joints-x.toml is called [pretraining] now\n"
        "note: [longer] of joints-x.toml is called [finetuning] now\n"
        "note: [again] of joints-x.toml is called [finetuning2] now\n"
    )
    named = {
        "sequential_k1_groundwork": matrix.Training(pretraining=True),
        "predictive_k7_mean4": matrix.Training(7, "predictive", averaged=4),
        "predictive_k7_longer": matrix.Training(7, "predictive", fine_tunings=1),
        "predictive_k7_longer_again": matrix.Training(7, "predictive", fine_tunings=2),
    }
    for old, training in named.items():
        (tmp_path / old).mkdir()
        (tmp_path / old / "result.json").touch()
        assert (run.run_folder(tmp_path, training.name) / "result.json").exists()
    assert not run.run_folder(tmp_path, "sequential_k1").exists()


def test_techniques_differ_in_nothing_but_the_technique(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import matrix

    by_label = {r.label: r.training for r in matrix.rows("techniques", "joints")}
    student = by_label[matrix.BASE]
    assert student.start == student.teacher == matrix.Training()
    tuned = [t for t in by_label.values() if t.fine_tunings]
    assert len(tuned) == 5
    assert {t.start for t in tuned} == {student}
    assert {t.teacher for t in tuned} == {matrix.Training()}
    assert len({t.name for t in tuned}) == 5
    stages = matrix.rows("stages", "joints")
    (twice,) = (r.training for r in stages if r.training.fine_tunings == 2)
    assert twice.start == by_label["+ skips"]
    assert twice.name == by_label["+ skips"].name + "2"
    (skipping,) = {r.training for r in matrix.rows("stages", "actions") if r.training.skipping}
    assert (skipping.start, skipping.role) == (matrix.Training(), "skipping")
    # Both cuts of Par-Inception skip at the rate of the settings.
    from pvnet import models
    from pvnet.evaluate.emission import frame_subsampling as protocol

    for k in matrix.STAGES["actions"]:
        graph = models.build("par_inception", stages=k, wiring="sequential", width=0.25, size=64)
        assert protocol(graph).every == 3
