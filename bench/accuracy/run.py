"""Trains and scores what one experiment needs; run again to go on.

    python bench/accuracy/run.py stages --task joints --data jhmdb:FOLDER --seed 0
    python bench/accuracy/run.py techniques --task actions --data figures run.steps=400
    python bench/accuracy/run.py stages --task joints --data figures --list

Trainings go to --runs (kept: a second experiment uses them), a record per row to --records: to one
SETTING.jsonl, with the scores of the clips in SETTING.npz (record_files.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from average import average_weights
from matrix import BESIDE, EXPERIMENTS, SCORE, Row, Training, read_label, rows
from record_files import Record, add_record, key, read_records

from pvnet import data, runtime
from pvnet.data.files.locks import lock
from pvnet.evaluate.evaluation import Protocol, evaluate, first_scored, frame_subsampling
from pvnet.graph import Graph
from pvnet.runtime.machine import machine_record
from pvnet.train.config import Config, set_override
from pvnet.train.loop import train

HERE = Path(__file__).parent
TEACHERS = ("pretraining", "teacher")  # roles
# What was made before 0.2: roles of settings by their old names, old parts of folders' names.
OLD_ROLES = {"groundwork": "pretraining", "longer": "finetuning", "again": "finetuning2"}
OLD_FOLDERS = {
    "_average": "_mean",
    "_pretraining": "_groundwork",
    "_finetuned2": "_longer_again",
    "_finetuned": "_longer",
}
_OTHER_CLIPS = 1000  # added to the seed of a training that goes on


def kind(args: argparse.Namespace) -> str:
    """Of the data: the place where they lie is nobody's business."""
    return str(args.data.partition(":")[0].partition("?")[0])


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of task and data, by role; others by name say only what they have otherwise."""
    path = HERE / "settings" / f"{args.task}-{kind(args)}.toml"
    if not path.exists():  # other videos of people
        path = path.with_name(f"{args.task}-jhmdb.toml")
    settings = read_settings(path)
    if args.settings:
        other = path.with_name(f"{path.stem}{variant(args)}.toml")
        for role, sections in read_settings(other).items():
            for section, values in sections.items():
                settings.setdefault(role, {}).setdefault(section, {}).update(values)
    return settings


def read_settings(path: Path) -> dict[str, Any]:
    """The sections of a file by role; an old name of a role is taken with a note on stderr."""
    settings = {}
    for role, sections in tomllib.loads(path.read_text()).items():
        if role in OLD_ROLES:
            note = f"note: [{role}] of {path.name} is called [{OLD_ROLES[role]}] now"
            print(note, file=sys.stderr)
        settings[OLD_ROLES.get(role, role)] = sections
    return settings


def run_folder(runs: Path, name: str) -> Path:
    """The folder of a training; one that still has its old name is renamed."""
    made, before = runs / name, name
    for new, old in OLD_FOLDERS.items():
        before = before.replace(new, old)
    if not made.exists() and (runs / before).exists():
        (runs / before).rename(made)
    return made


def variant(args: argparse.Namespace) -> str:
    """Of the settings: part of the name of their file, and of the folders of what they made."""
    return f"-{args.settings}" if args.settings else ""


def configuration(
    training: Training, args: argparse.Namespace, start: str = "", teacher: str = ""
) -> Config:
    """The settings of task and data for the role, those of the training, the command line's."""
    settings = settings_of(args)
    document: dict[str, Any] = {}
    before = settings["student"] if training.fine_tunings else {}  # [finetuning] adds to it
    for part in (settings["shared"], before, settings.get(training.role, {})):
        for section, values in part.items():
            document.setdefault(section, {}).update(values)
    for override in args.overrides:
        set_override(document, override)
    options = document["model"].get("options", {}) | dict(training.options)
    document["model"] |= {"stages": training.stages, "wiring": training.wiring}
    if start:  # else as the settings say
        document["model"] |= {"start": start, "from_scratch": []}
    document["model"]["options"] = options
    train = training_data(args, document.pop("collage", {}))
    document.setdefault("data", {}).update({"train": train, "split": args.split})
    document.setdefault("loss", {})["prediction_latency"] = training.latency
    document.setdefault("distill", {})["teacher"] = teacher
    document["run"]["seed"] = args.seed + _OTHER_CLIPS * training.fine_tunings
    return Config.from_dict(document)


def training_data(args: argparse.Namespace, collage: dict[str, Any]) -> str:
    """The data with the settings' collages; recorded motion for them is named by the caller."""
    options = [f"{key}={value}" for key, value in collage.items()]
    options += [f"motion={args.motion}"] if options and args.motion else []
    joint = "&" if "?" in args.data else "?"
    return joint.join([args.data, "&".join(options)]) if options else str(args.data)


def folder(args: argparse.Namespace) -> str:
    """Name of the setting."""
    split = f"-split{args.split}" if kind(args) == "jhmdb" else ""
    return f"{args.task}-{kind(args)}{variant(args)}{split}-seed{args.seed}"


def own_seed(training: Training, args: argparse.Namespace) -> argparse.Namespace:
    """The arguments with the seed of this training: teachers may have one of their own."""
    if args.teacher_seed is None or training.role not in TEACHERS:
        return args
    return argparse.Namespace(**(vars(args) | {"seed": args.teacher_seed}))


def ensure_model(training: Training, args: argparse.Namespace) -> Path:
    """The model file of a training, made if it is not there; what it starts from first."""
    if training.averaged > 1:
        return ensure_average(training, args)
    before = training.start
    if training.role == "teacher" and "pretraining" in settings_of(args):
        before = replace(training, pretraining=True)
    start = "" if before is None else str(ensure_model(before, args))
    distilled = training.teacher if training.distilled else None
    teacher = "" if distilled is None else str(ensure_model(distilled, args))
    seeded = own_seed(training, args)
    out = run_folder(args.runs / folder(seeded), training.name)
    out.mkdir(parents=True, exist_ok=True)
    with lock(out.with_suffix(".lock")):  # another experiment may be training it: wait for that
        if not (out / "result.json").exists():
            print(f"training {training.name}", flush=True)
            train(configuration(training, seeded, start, teacher), out)
    return Path(out / "model.safetensors")


def ensure_average(training: Training, args: argparse.Namespace) -> Path:
    """The model file of several trainings with averaged weights; their seeds begin at n * seed."""
    out = run_folder(args.runs / folder(args), training.name) / "model.safetensors"
    if out.exists():
        return out
    first = training.averaged * args.seed
    teacher = args.seed if args.teacher_seed is None else args.teacher_seed
    one = replace(training, averaged=1)
    paths = []
    for seed in range(first, first + training.averaged):
        seeded = argparse.Namespace(**(vars(args) | {"seed": seed, "teacher_seed": teacher}))
        paths.append(ensure_model(one, seeded))
    out.parent.mkdir(parents=True, exist_ok=True)
    runtime.save(average_weights([runtime.load(path) for path in paths]), out)
    return out


def wire_row(row: Row, model: runtime.Model) -> tuple[Graph, Protocol]:
    """The graph that is scored, and how."""
    same = row.stages == model.graph.n_stages
    graph = model.graph.wire(row.wiring, model.graph.stage_lists if same else cut_row(row, model))
    if not row.skipping:
        return graph, Protocol(prediction_latency=row.latency, late=row.late)
    return graph.wire("sequential", 1), frame_subsampling(graph)


def cut_row(row: Row, model: runtime.Model) -> Any:
    """The stages of the model's preset, by the names of its nodes."""
    from pvnet import models

    config = json.loads(model.metadata["config"])["model"]
    options = {**config["options"]}
    if config["name"] == "par_inception":
        options["classes"] = model.graph.outputs[0].shape[0]
    fresh = models.build(config["name"], stages=row.stages, wiring="sequential", **options)
    return fresh.stage_lists


def score(row: Row, args: argparse.Namespace, dataset: Any, first_tick: int) -> Record:
    """The record of a row."""
    path = ensure_model(row.training, args)
    model = runtime.load(path)
    graph, protocol = wire_row(row, model)
    print(f"scoring {row.name}", flush=True)
    result = evaluate(
        runtime.Model(graph, model.weights, model.metadata),
        dataset,
        task=args.task,
        protocol=replace(protocol, first_tick=first_tick),
        max_clips=args.max_clips,
        per_clip=True,
    )
    result.get("left_out", {}).pop("listed", None)  # the records tell how many, not which
    # The table compares rows clip by clip.
    kept = (SCORE[args.task], BESIDE[args.task])
    per_clip = {k: v for k, v in result.pop("per_clip").items() if k in kept}
    return {
        "name": row.name,
        "experiment": args.experiment,
        "label": row.label,
        "row": asdict(row),
        "seed": args.seed,
        "teacher_seed": args.seed if args.teacher_seed is None else args.teacher_seed,
        "split": args.split,
        "data": args.data.partition(":")[0],
        "result": result
        | {"stages": row.stages, "model": path.parent.name, "data": args.data.partition(":")[0]},
        "machine": machine_record(),
        "per_clip": per_clip,
    }


def common_first_tick(wanted: list[Row], args: argparse.Namespace) -> int:
    """The largest warm-up of all rows: every row is scored on the same ticks."""
    first = 0
    for row in wanted:
        graph, protocol = wire_row(row, runtime.load(ensure_model(row.training, args)))
        first = max(first, first_scored(protocol, graph.outputs[0].warm_up_ticks))
    return first


def keep_rows(wanted: list[Row], without: list[str]) -> list[Row]:
    """The rows that are not left out."""
    labels = {row.label for row in wanted}

    def left_out(row: Row) -> bool:
        return any(t == row.label if t in labels else t in row.label for t in without)

    return [row for row in wanted if not left_out(row)]


def main() -> None:
    """Train what is missing, score what is missing."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--task", choices=("joints", "actions"), required=True)
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument(
        "--motion", type=Path, metavar="TRACKS", help="recorded motion for puppets (docs/data.md)"
    )
    parser.add_argument(
        "--settings",
        default="",
        metavar="NAME",
        help="other settings: settings/TASK-DATA-NAME.toml, with runs and records of their own",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--teacher-seed",
        type=int,
        metavar="N",
        help="students of --seed have the teacher of seed N, whose own rows are not scored again",
    )
    parser.add_argument("--max-clips", type=int)
    parser.add_argument("--runs", type=Path, default=Path("build/accuracy_runs"))
    parser.add_argument("--records", type=Path, default=HERE / "records")
    parser.add_argument("--only", type=int, metavar="K", help="of the cuts only this one")
    parser.add_argument(
        "--without",
        metavar="TEXT",
        action="append",
        default=[],
        help="leave out the row of this label, or all whose labels have it; may be given several "
        "times",
    )
    parser.add_argument(
        "--from-tick", type=int, default=0, metavar="T", help="score no earlier ticks than T"
    )
    parser.add_argument("--train-only", action="store_true", help="leave the scoring for later")
    parser.add_argument("--list", action="store_true", help="only say what would be done")
    args = parser.parse_intermixed_args()
    if args.experiment == "clocks" and args.task == "joints":
        parser.error("clocks: only Par-Inception has them")
    if args.experiment == "latency" and args.task == "actions":
        parser.error("latency: a clip has one label, whichever of its frames is asked for")
    wanted = list(rows(args.experiment, args.task, args.only))
    wanted = keep_rows(wanted, [read_label(text) for text in args.without])
    if args.list:
        print("\n".join(f"{row.label:36s} {row.name}" for row in wanted))
        return
    for row in wanted:
        ensure_model(row.training, args)
    if args.train_only:
        return
    first_tick = max(args.from_tick, common_first_tick(wanted, args))
    any_graph = runtime.load(ensure_model(wanted[0].training, args)).graph
    base = configuration(wanted[0].training, args)
    dataset = data.open_dataset(
        args.data,
        split=args.split,
        train=False,
        size=any_graph.nodes[0].shape[1:],
        # Rendered videos are as long as one says, others as they are, also where a resident set
        # has had stretches of them.
        frames=(base.data.video_frames or None) if kind(args) == "figures" else None,
        task=args.task,
        crop=base.data.crop,
    )
    records = args.records / f"{folder(args)}.jsonl"
    for row in wanted:
        if own_seed(row.training, args).seed != args.seed:
            continue
        if (args.experiment, row.name) not in map(key, read_records(records)):
            add_record(records, score(row, args, dataset, first_tick))
    print(f"records of {args.experiment} are in {records}")


if __name__ == "__main__":
    main()
