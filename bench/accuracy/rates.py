"""Scores a shipped network of joints at 30, 15 and 10 frames a second, without training.

    python bench/accuracy/rates.py --data jhmdb:FOLDER          # records and their tables
    python bench/accuracy/rates.py --data jhmdb:FOLDER --table  # tables alone

Predictive networks of K stages against exact answers that come P ticks late. A lower rate takes
every second or third frame: more motion in a tick. Every rate is scored on the same frames, those
from frame 14 on: the clip runs once for every first frame that gives the others. Where the network
is not filled yet, the clip's beginning comes before it, backwards. No scored answer has heard of
that. Records: records/rates/.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from clusters import find_clusters, interval
from numpy.typing import NDArray
from record_files import Record, add_record, key, read_records

from pvnet import data, models, runtime
from pvnet.evaluate.clip import decode
from pvnet.evaluate.emission import frame_subsampling
from pvnet.evaluate.metrics import Counts, difference, joint_counts
from pvnet.models import pose
from pvnet.runtime.machine import machine_record

HERE = Path(__file__).parent
STRIDES = (1, 2, 3)
FULL_RATE = 30
STAGES = (2, 4, 7, 14)
LATE = (0, 1, 2, 3, 4, 6, 11, 13)  # as far as there are frames for it
RIVALS = (1, 2, 3, 4)  # ticks, of the table of differences
ASKED = (0, 1, 2, 4)
FIRST = 14  # the frame 4 ticks of 3 frames before it is there, whatever the first frame was
PICTURE_WIDTH = 320  # J-HMDB's, in pixels
KEPT = ("pck@0.2_box", "pck@0.1_box", "pck@0.2_torso", "mean_error_px")
Joints = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Attributes:
        file: the shipped file whose weights run.
        stages: K.
        stride: 1, 2 or 3: frames from one tick to the next.
        late: ticks that the answers are held back; only exact ones are.
        asked: P: the truth of so many ticks ago is asked for.
    """

    file: str
    stages: int
    stride: int
    late: int = 0
    asked: int = 0

    @property
    def name(self) -> str:
        """Of its record."""
        how = f"late{self.late}" if self.stages == 1 else f"p{self.asked}"
        how += f"_p{self.asked}" if self.stages == 1 and self.asked else ""
        return f"{self.file}_k{self.stages}_{how}_every{self.stride}"

    @property
    def rate(self) -> str:
        """Frames a second."""
        return f"{FULL_RATE / self.stride:.0f}"

    @property
    def label(self) -> str:
        """For people."""
        if self.stages == 1:
            ticks = "tick" if self.late == 1 else "ticks"
            return f"exact, {self.late} {ticks} late" if self.late else "exact, at once"
        trained = ", distilled" if "predictive" in self.file else ""
        return f"predictive, {self.stages} stages{trained}"


def list_rows(family: str) -> Iterator[Row]:
    """All rows, of every rate."""
    for stride in STRIDES:
        for late in LATE:
            if late * stride <= FIRST:
                yield Row(f"{family}_sequential", 1, stride, late=late)
        for asked in ASKED[1:]:  # the same frames that the others are asked for
            yield Row(f"{family}_sequential", 1, stride, late=asked, asked=asked)
        networks = [(f"{family}_sequential", stages) for stages in STAGES]
        networks += [
            (one.name, one.stages)
            for one in models.shipped()
            if one.family == family and one.wiring == "predictive"
        ]
        for file, stages in networks:
            if stages in (2, STAGES[-1]) and stride > 1:
                continue  # 2 are exact, 1 tick late; most are filled by more frames than clips have
            for asked in ASKED:
                yield Row(file, stages, stride, asked=asked)


def load(file: str, stages: int) -> runtime.Model:
    """A shipped network, sequential or predictive in so many stages."""
    model = models.pretrained(file)
    wiring = "sequential" if stages == 1 else "predictive"
    if (wiring, stages) == (model.graph.wiring, model.graph.n_stages):
        return model
    return runtime.Model(models.rewired(model, wiring, stages).graph, model.weights, model.metadata)


def reflect(ticks: int, before: int) -> NDArray[np.int64]:
    """Which tick's frame is shown: `before` ticks of the clip backwards, then the clip."""
    if ticks == 1:
        return np.zeros(before + 1, np.int64)
    period = 2 * (ticks - 1)
    back = np.arange(before, 0, -1) % period
    return np.concatenate([np.minimum(back, period - back), np.arange(ticks)])


class Emitter:
    """The joints that a network has given out at the end of the tick of every frame.

    Args:
        model: to run.
        before: ticks of the clip's beginning, backwards, before it; None: until it is filled.
        first: nobody asks for the frames before this one. A network that only has to be filled does
            not run for them; what it gives there means nothing.
    """

    def __init__(self, model: runtime.Model, before: int | None = None, first: int = 0) -> None:
        plan = runtime.compile(model, lanes=1)
        self._stream, self._size = plan.stream(), next(iter(plan.inputs.values()))[1:]
        self._centered = pose.is_centered(list(plan.outputs))
        self._names = pose.CENTERED if self._centered else tuple(plan.outputs)[:1]
        warm_up = max(plan.warm_up_ticks[name] for name in self._names)
        self._before = warm_up if before is None else before
        self._first = first

    def __call__(self, frames: NDArray[np.uint8], stride: int) -> Joints:
        """Of all frames, [t, 13, 2] in pixels of the network's picture."""
        found = np.zeros((len(frames), 13, 2), np.float32)
        for phase in range(min(stride, len(frames))):
            taken = frames[phase::stride]
            skipped = max(0, -(-(self._first - phase) // stride))  # ticks
            shown = reflect(len(taken), self._before)[skipped:]
            self._stream.reset()
            out = [self._joints(self._stream.tick(taken[i])) for i in shown][self._before :]
            found[phase + skipped * stride :: stride] = np.reshape(out, (-1, 13, 2))
        return found

    def _joints(self, tick: Any) -> Joints:
        if not self._centered:
            return decode(tick[self._names[0]][0], "joints", self._size)
        maps = {name: tick[name][0] for name in self._names}
        return np.asarray(pose.decode(maps, self._size, nobody=0)[:, :2], np.float32)


def emit(row: Row, dataset: Any, kept: Path) -> list[Joints]:
    """What the network of a row emits in every clip, run once and kept."""
    stride = 1 if row.stages == 1 else row.stride  # it does not remember
    path = kept / f"{row.file}_k{row.stages}_every{stride}.npz"
    if not path.exists():
        print(f"running {path.stem}", flush=True)
        emitter = Emitter(load(row.file, row.stages), first=0 if row.stages == 1 else FIRST)
        clips = (dataset.get(i, np.random.default_rng(0)) for i in range(len(dataset)))
        out = [emitter(clip.frames, stride) for clip in clips]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{f"{i:04d}": joints for i, joints in enumerate(out)})
    with np.load(path) as file:
        return [file[name] for name in sorted(file.files)]


def score_clip(
    emitted: Joints, clip: Any, *, late: int, asked: int, scale: tuple[float, float]
) -> Counts:
    """Counts of a clip over the frames from `FIRST` on, in pixels of the video.

    Args:
        emitted: joints of all frames, in pixels of the network's picture.
        clip: with its truth.
        late: frames that the answers are held back.
        asked: the truth of so many frames ago is asked for.
        scale: pixels of the video in one of the network's picture, across and down.
    """
    now = np.arange(FIRST, len(emitted))
    everything = np.ones(len(now), np.bool_)
    truth, visible = clip.joints[now - asked], clip.visible[now - asked]
    return joint_counts(emitted[now - late] * scale, truth * scale, visible, everything)


def summarise(counts: list[Counts], setting: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores with intervals over sources, and (sum, count) of every clip, of the metrics kept."""
    pairs = {name: np.array([c[name] for c in counts]) for name in KEPT}
    result: dict[str, Any] = {"task": "joints", "data": "jhmdb", "clips": len(counts)}
    result |= {"first_scored_frame": FIRST, "interval_over": "source"}
    for name, values in pairs.items():
        result[name], low, high = interval([values], find_clusters(setting, len(counts)))
        result[f"{name}_interval"] = [low, high]
    return result, pairs


def motion(dataset: Any, stride: int) -> float:
    """Mean way of a visible joint in a tick, in hundredths of the longer side of the box."""
    ways = []
    for index in range(len(dataset)):
        clip = dataset.get(index, np.random.default_rng(0))
        now = np.arange(FIRST, len(clip.frames))
        both = clip.visible[now] & clip.visible[now - stride]
        points = np.where(clip.visible[now][..., None], clip.joints[now], np.nan)
        side = (np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).max(axis=-1)
        way = np.linalg.norm(clip.joints[now] - clip.joints[now - stride], axis=-1)
        ways.append((way / side[:, None])[both])
    return float(100 * np.concatenate(ways).mean())


def score(row: Row, dataset: Any, args: argparse.Namespace) -> Record:
    """The record of a row."""
    emitted = emit(row, dataset, args.runs)
    clips = (dataset.get(i, np.random.default_rng(0)) for i in range(len(dataset)))
    scale = PICTURE_WIDTH / dataset.size[1]
    late, asked = (ticks * row.stride for ticks in (row.late, row.asked))
    how: dict[str, Any] = {"late": late, "asked": asked, "scale": (scale, scale)}
    counts = [score_clip(out, clip, **how) for out, clip in zip(emitted, clips)]
    result, pairs = summarise(counts, args.setting)
    result |= {"stages": row.stages, "model": row.file, "late": row.late, "asked": row.asked}
    result["frames_per_second"] = FULL_RATE / row.stride
    result["scored_ticks"] = sum(len(out) - FIRST for out in emitted)
    record = {"name": row.name, "experiment": "rates", "label": row.label}
    return record | {"result": result, "machine": machine_record(), "per_clip": pairs}


def format_score(record: Record, name: str = KEPT[0], digits: int = 3) -> str:
    """A score with its interval."""
    low, high = record["result"][f"{name}_interval"]
    value = record["result"][name]
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def apart(ours: Record, theirs: Record, setting: str) -> str:
    """Paired difference of PCK@0.2 of the box, with its interval over sources."""
    mine, its = (r["per_clip"][KEPT[0]] for r in (ours, theirs))
    found = difference([mine], [its], clusters=find_clusters(setting, len(mine)))
    assert found is not None
    value, (low, high) = found
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def format_table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def late_in_turns(row: Row) -> int:
    """Ticks that lanes in turns (round-robin) are late, each with a whole pass of the network.

    A tick lasts as long as the slowest stage of the row's network, by multiply-adds.
    """
    return frame_subsampling(load(row.file, row.stages).graph).late


def same_lanes(rows: list[Row], known: dict[str, Record], setting: str) -> str:
    """Predictive networks less what as many lanes say exactly, in turns or as a pipeline."""
    lines = []
    file = f"{setting.partition('-')[0]}_sequential"
    for row in rows:
        cells = []
        for late in (late_in_turns(row), row.stages - 1):
            exact = Row(file, 1, row.stride, late=late).name
            found = exact in known
            cells += [str(late), apart(known[row.name], known[exact], setting) if found else ""]
        lines.append([row.rate, row.label, *cells])
    head = ["frames/s", "network", "in turns, ticks late", "less that"]
    return format_table([*head, "pipeline, ticks late", "less that"], lines)


def tables(records: list[Record], setting: str) -> str:
    """Answers for now, answers for P ticks ago, differences to late answers and at equal lanes."""
    known = {r["name"]: r for r in records}
    family = setting.partition("-")[0]
    rows = [row for row in list_rows(family) if row.name in known and row.asked == 0]
    predictive = [row for row in rows if row.stages > 1]
    answers, asked, less = [], [], []
    for row in rows:
        record = known[row.name]
        cells = [format_score(record, name) for name in KEPT[:3]]
        answers.append([row.rate, row.label, *cells, format_score(record, KEPT[3], 1)])
    for row in [row for row in rows if row.stages > 1 or row.late == 0]:
        names = [replace(row, late=p if row.stages == 1 else 0, asked=p).name for p in ASKED]
        if known.keys() >= set(names):
            asked.append([row.rate, row.label, *(format_score(known[n]) for n in names)])
    for row in predictive:
        exact = Row(f"{family}_sequential", 1, row.stride)
        rivals = [known[replace(exact, late=p).name] for p in RIVALS]
        less.append([row.rate, row.label, *(apart(known[row.name], r, setting) for r in rivals)])
    head = ["frames/s", "answers for now", *KEPT[:3], "error, px of 320 x 240"]
    heads = ["frames/s", "network", *(f"P = {p}" for p in ASKED)]
    lessened = ["frames/s", "less exact answers", *(f"{p} late" for p in RIVALS)]
    parts = [(head, answers), (heads, asked), (lessened, less)]
    whole = [format_table(head, cells) for head, cells in parts]
    return "\n\n".join([*whole, same_lanes(predictive, known, setting)])


def main() -> None:
    """Run what has not run, score what has no record, print the tables."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--family", default="movenet", help="of the shipped files")
    parser.add_argument("--runs", type=Path, default=Path("build/accuracy_rates"))
    parser.add_argument("--records", type=Path, default=HERE / "records" / "rates")
    parser.add_argument("--table", action="store_true", help="only print the tables")
    args = parser.parse_args()
    args.setting = f"{args.family}-jhmdb-split1"
    path = args.records / f"{args.setting}.jsonl"
    if not args.table:
        first = load(f"{args.family}_sequential", 1)
        size, crop = first.graph.nodes[0].shape[1:], "letterbox"
        how: dict[str, Any] = {"train": False, "frames": None, "task": "joints", "crop": crop}
        dataset = data.open_dataset(args.data, split=1, size=size, **how)
        done = set(map(key, read_records(path)))
        # What differs most comes first, should somebody stop it.
        for row in sorted(list_rows(args.family), key=lambda r: STRIDES[::2].count(r.stride) == 0):
            if ("rates", row.name) not in done:
                add_record(path, score(row, dataset, args))
        for stride in STRIDES:
            way = motion(dataset, stride)
            print(f"a joint moves in {stride} frames by {way:.2f} % of the box on the mean")
    print(tables(read_records(path), args.setting))


if __name__ == "__main__":
    main()
