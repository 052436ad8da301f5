"""Trains and scores a grid of stages K and prediction latencies P; run again to go on.

    python bench/accuracy/grid.py train --data jhmdb:FOLDER
    python bench/accuracy/grid.py score --data jhmdb:FOLDER
    python bench/accuracy/grid_table.py

A small Par-DenseNet on J-HMDB. Every seed has a teacher of its own, which goes on from the shipped
sequential network at a smaller size. Every network of the seed starts from it and has as many steps
on the same clips. `temporal` networks have temporal kernels, which start as those of the teacher.
"""

from __future__ import annotations

import argparse
import copy
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rates import Emitter, Joints, score_clip, summarise
from record_files import Record, add_record, key, read_records

from pvnet import data, models, runtime
from pvnet.evaluate.emission import Protocol, frame_subsampling, take_emissions
from pvnet.runtime.machine import machine_record
from pvnet.train.config import Config
from pvnet.train.loop import train

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
SETTINGS = HERE / "settings" / "joints-grid.toml"
SETTING = "joints-jhmdb-grid-split1"
PICTURE = (240, 320)  # of J-HMDB's videos, in pixels
LATE = (0, 1, 2, 3, 4, 6, 13)
ASKED = (0, 1, 2, 4)
_OTHER_CLIPS = 1000  # added to the seed: a student sees other clips than its teacher


@dataclass(frozen=True)
class Cell:
    """A network of the grid.

    Attributes:
        stages: K; 1 is the sequential network.
        latency: P that it is trained for, in ticks.
        temporal: size of the temporal kernels; with 3 it has state.
    """

    stages: int
    latency: int = 0
    temporal: int = 1

    @property
    def wiring(self) -> str:
        """In which it is trained."""
        return "sequential" if self.stages == 1 else "predictive"

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"t{self.temporal}_k{self.stages}_p{self.latency}"


# The cells, most wanted first. A pipeline of K stages gives exact answers for P >= K - 1, so
# nobody trains for those; sequential networks need no latency at all.
ROUNDS = (
    (Cell(1), Cell(7), Cell(14)),
    (Cell(1, temporal=3), Cell(7, temporal=3), Cell(14, temporal=3)),
    (Cell(14, 2),),
    (Cell(4),),
    (Cell(7, 2),),
    (Cell(2),),
    (Cell(14, 4), Cell(7, 4), Cell(4, 2)),
    (Cell(14, 1), Cell(7, 1), Cell(4, 1)),
)


def order(chosen: Sequence[str] = ()) -> Iterator[tuple[Cell, int]]:
    """Cells and seeds, all seeds of a round before the next round.

    Args:
        chosen: names of cells, each a round of its own in this order; none: all rounds.
    """
    by_name = {cell.name: cell for cells in ROUNDS for cell in cells}
    rounds = [(by_name[name],) for name in chosen] or ROUNDS
    for cells in rounds:
        for seed in SEEDS:
            for cell in cells:
                yield cell, seed


def configuration(role: str, seed: int, args: argparse.Namespace, start: str) -> Config:
    """The settings of a role."""
    settings = tomllib.loads(SETTINGS.read_text())
    document = copy.deepcopy(settings["shared"])
    for section, values in settings[role].items():
        document.setdefault(section, {}).update(values)
    document["data"] |= {"train": args.data, "split": 1}
    document["model"] |= {"start": start}
    document["run"]["seed"] = seed
    return Config.from_dict(document)


def fit(config: Config, folder: Path) -> Path:
    """The model file of a training, made if it is not there."""
    if not (folder / "result.json").exists():
        print(f"training {folder.parent.name}/{folder.name}", flush=True)
        train(config, folder)
    return folder / "model.safetensors"


def teacher(seed: int, args: argparse.Namespace) -> Path:
    """The teacher of a seed."""
    settings = tomllib.loads(SETTINGS.read_text())
    config = configuration("teacher", seed, args, settings["teacher"]["model"]["start"])
    return fit(config, args.runs / f"seed{seed}" / "teacher")


def give_past(model: runtime.Model, temporal: int) -> runtime.Model:
    """The same function with temporal kernels, whose weights for the past are 0."""
    config = tomllib.loads(SETTINGS.read_text())["shared"]["model"]
    graph = models.build(config["name"], temporal=temporal, **config["options"])
    weights = dict(model.weights)
    for node in graph.nodes:
        name = f"{node.name}.weight"
        if node.op == "conv3d" and node.attrs["kernel"][0] == temporal:
            now = np.asarray(weights[name], np.float32)
            grown = np.zeros((*now.shape[:2], temporal, *now.shape[3:]), np.float32)
            grown[:, :, -1:] = now
            weights[name] = grown
    return runtime.Model(graph, weights, model.metadata)


def start_of(cell: Cell, seed: int, args: argparse.Namespace) -> Path:
    """The model file that a cell starts from."""
    made = teacher(seed, args)
    if cell.temporal == 1:
        return made
    path = made.with_name(f"temporal{cell.temporal}.safetensors")
    if not path.exists():
        runtime.save(give_past(runtime.load(made), cell.temporal), path)
    return path


def ensure(cell: Cell, seed: int, args: argparse.Namespace) -> Path:
    """The model file of a cell."""
    start = start_of(cell, seed, args)
    config = configuration("student", seed + _OTHER_CLIPS, args, str(start))
    options = config.model.options | ({"temporal": cell.temporal} if cell.temporal > 1 else {})
    model = replace(config.model, stages=cell.stages, wiring=cell.wiring, options=options)
    loss = replace(config.loss, prediction_latency=cell.latency)
    config = replace(config, model=model, loss=loss)
    return fit(config, args.runs / f"seed{seed}" / cell.name)


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Attributes:
        label: for people.
        cell: whose weights are scored.
        stages: K in which they are scored.
        late: ticks that exact answers are held back.
        asked: P: the truth of so many ticks ago is asked for.
        every: 1, or S of frame skipping; its answers are S - 1 ticks late.
    """

    label: str
    cell: Cell
    stages: int
    late: int = 0
    asked: int = 0
    every: int = 1

    @property
    def name(self) -> str:
        """Of its record."""
        every = f"_every{self.every}" if self.every > 1 else ""
        return f"{self.cell.name}_as_k{self.stages}_late{self.late}_p{self.asked}{every}"


def skipping_of(stages: int, temporal: int) -> int:
    """S of frame skipping at equal work per lane: ceil(work of all stages / of the slowest)."""
    config = tomllib.loads(SETTINGS.read_text())["shared"]["model"]
    options = config["options"] | {"temporal": temporal}
    graph = models.build(config["name"], stages=stages, wiring="predictive", **options)
    return frame_subsampling(graph).every


def list_rows(temporal: int) -> Iterator[Row]:
    """Exact answers late, frame skipping, and every predictive network; those without records
    or networks are left out later."""
    exact = Cell(1, temporal=temporal)
    for late in LATE:
        ticks = f"{late} tick{'s' if late > 1 else ''} late" if late else "at once"
        yield Row(f"exact, {ticks}", exact, 1, late=late)
    for asked in ASKED[1:] if temporal == 1 else ():  # the frames that the others are asked for
        yield Row("exact", exact, 1, late=asked, asked=asked)
    networks = {c.stages for cells in ROUNDS for c in cells if c.temporal == temporal} - {1}
    for every in sorted({skipping_of(stages, temporal) for stages in networks} - {1}):
        yield Row(f"frame skipping, every {every}", exact, 1, every=every, late=every - 1)
    for stages in sorted(networks):
        for asked in ASKED if temporal == 1 else (0,):
            yield Row("parallel at test time only", exact, stages, asked=asked)
            yield Row("predictive, trained", Cell(stages, asked, temporal), stages, asked=asked)
            if asked:
                now = Cell(stages, 0, temporal)
                yield Row("predictive, trained for P = 0", now, stages, asked=asked)


def emit(row: Row, model: runtime.Model, dataset: Any, kept: Path) -> list[Joints]:
    """What the network of a row gives out in every clip, held back as the row says."""
    path = kept / f"{row.cell.name}_as_k{row.stages}_every{row.every}.npz"
    if not path.exists():
        print(f"running {kept.parent.name}/{path.stem}", flush=True)
        wiring = "sequential" if row.stages == 1 else "predictive"
        if (wiring, row.stages) != (model.graph.wiring, model.graph.n_stages):
            graph = models.rewired(model, wiring, row.stages).graph
            model = runtime.Model(graph, model.weights, model.metadata)
        emitter = Emitter(model, before=0)
        clips = (dataset.get(i, np.random.default_rng(0)) for i in range(len(dataset)))
        out = [emitter(clip.frames[:: row.every], 1) for clip in clips]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{f"{i:04d}": joints for i, joints in enumerate(out)})
    with np.load(path) as file:
        return [file[name] for name in sorted(file.files)]


def score(row: Row, seed: int, dataset: Any, args: argparse.Namespace) -> Record:
    """The record of a row and a seed."""
    folder = args.runs / f"seed{seed}"
    model = runtime.load(folder / row.cell.name / "model.safetensors")
    emitted = emit(row, model, dataset, folder / "emitted")
    height, width = dataset.size
    scale = (PICTURE[1] / width, PICTURE[0] / height)
    counts = []
    for index, out in enumerate(emitted):
        clip = dataset.get(index, np.random.default_rng(0))
        protocol = Protocol(every=row.every, late=row.late)
        now = take_emissions(out, len(clip.frames), protocol)
        counts.append(score_clip(now, clip, late=0, asked=row.asked, scale=scale))
    result, pairs = summarise(counts, SETTING)
    result |= {"stages": row.stages, "late": row.late, "asked": row.asked, "every": row.every}
    result |= {"temporal": row.cell.temporal, "trained_for": row.cell.latency}
    run = json.loads((folder / row.cell.name / "result.json").read_text())
    config = run["config"]["run"]
    result["training"] = {name: config[name] for name in ("steps", "batch", "seed", "norm", "ema")}
    result["training"] |= {"frames": run["config"]["data"]["frames"], "last": run["last"]["loss"]}
    record = {"name": row.name, "experiment": "grid", "label": row.label, "seed": seed}
    return record | {"result": result, "machine": machine_record(), "per_clip": pairs}


def score_all(args: argparse.Namespace) -> None:
    """Score every row whose network is there and that has no record."""
    size = tuple(tomllib.loads(SETTINGS.read_text())["shared"]["model"]["options"]["size"])
    how: dict[str, Any] = {"train": False, "frames": None, "task": "joints", "size": size}
    dataset = data.open_dataset(args.data, split=1, **how)
    for seed in SEEDS:
        path = args.records / f"{SETTING}-seed{seed}.jsonl"
        done = set(map(key, read_records(path)))
        for row in (*list_rows(1), *list_rows(3)):
            model = args.runs / f"seed{seed}" / row.cell.name / "model.safetensors"
            if model.exists() and ("grid", row.name) not in done:
                add_record(path, score(row, seed, dataset, args))


def main() -> None:
    """Train what is missing, score what is missing."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("what", choices=("train", "score"))
    parser.add_argument("--data", required=True, metavar="SPEC")
    names = [cell.name for cells in ROUNDS for cell in cells]
    train_help = "cells to train, in this order (default: all, round by round)"
    parser.add_argument("--cells", nargs="+", default=(), choices=names, help=train_help)
    parser.add_argument("--runs", type=Path, default=Path("build/accuracy_runs/grid"))
    parser.add_argument("--records", type=Path, default=HERE / "records" / "grid")
    args = parser.parse_args()
    if args.what == "score":
        score_all(args)
        return
    for cell, seed in order(args.cells):
        ensure(cell, seed, args)


if __name__ == "__main__":
    main()
