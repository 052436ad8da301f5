"""Which clips of J-HMDB resemble each other: those of one source video, those of one class.

    python bench/accuracy/clusters.py --data FOLDER   # writes clips.json
    python bench/accuracy/clusters.py                 # what clusters do to the intervals of records

The clips have numbers for names, but the numbers follow the sources: of neighbours in number with
one class 92 % lie in the same parts of all three splits, of any two clips of a class 23 %. Sources
were kept on one side of a split when those were made. So a source is a run of neighbours with one
class and the same parts of the splits. Of the 171 clips that joints are scored on it makes 90.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from record_files import Record, read_records

from pvnet.evaluate.metrics import draw_clips
from pvnet.files import write_whole

HERE = Path(__file__).parent
CLIPS = HERE / "clips.json"
BY = ("source", "class", "clip")  # what is drawn
_SETTING = re.compile(r"^(?P<first>[a-z0-9]+)-jhmdb\b.*-split(?P<split>\d)")
_LEVEL = (2.5, 97.5)
_SAMPLES = 1000

Rows = Sequence[Mapping[str, str]]


def number_sources(rows: Rows) -> list[int]:
    """The source of every row, by the rule above; rows in any order."""
    order = sorted(range(len(rows)), key=lambda i: int(rows[i]["clip_id"]))
    sources = [0] * len(rows)
    before = None
    number = -1
    for i in order:
        mine = tuple(rows[i][key] for key in ("label", "split1", "split2", "split3"))
        if mine != before:
            number += 1
        sources[i], before = number, mine
    return sources


def list_clips(rows: Rows) -> dict[str, dict[str, list[Any]]]:
    """By task and split: names, sources and classes of the test clips, as they are scored."""
    sources = number_sources(rows)
    found = {}
    for task in ("joints", "actions"):
        for split in "123":
            chosen = [
                i
                for i, row in enumerate(rows)
                if row[f"split{split}"] == "test"
                and (task == "actions" or (row["has_gt"] == "1" and row["ambiguous"] == "0"))
            ]
            found[f"{task}-split{split}"] = {
                "clip": [rows[i]["clip_id"] for i in chosen],
                "source": [sources[i] for i in chosen],
                "class": [rows[i]["label"] for i in chosen],
            }
    return found


@cache
def _read_clips() -> dict[str, dict[str, list[Any]]]:
    return dict(json.loads(CLIPS.read_text()))


def find_clusters(setting: str, clips: int, by: str = "source") -> list[Any] | None:
    """The cluster of every scored clip of a setting, in the order of its records.

    Args:
        setting: name of its records, as joints-jhmdb-split1 or movenet-jhmdb-split1-seed0.
        clips: how many were scored.
        by: "source", "class" or "clip".

    Returns:
        None where every clip is its own cluster: rendered figures, a part of the clips, "clip".
    """
    match = _SETTING.match(setting)
    if match is None or by == "clip":
        return None
    task = "actions" if match["first"] == "actions" else "joints"
    known = _read_clips()[f"{task}-split{match['split']}"][by]
    return known if len(known) == clips else None


def interval(seeds: Sequence[Any], clusters: Sequence[Any] | None) -> tuple[float, float, float]:
    """A score over all seeds, and its interval (95 %): low, high.

    Args:
        seeds: per training, (sum, count) of every clip; clips are drawn once for all.
        clusters: of the clips; None: each is its own.
    """
    pairs = np.sum(np.array(seeds, np.float64), axis=0)
    draws = draw_clips(len(pairs), samples=_SAMPLES, seed=0, clusters=clusters)
    sums, counts = draws @ pairs[:, 0], draws @ pairs[:, 1]
    low, high = np.percentile(sums[counts > 0] / counts[counts > 0], _LEVEL)
    return float(pairs[:, 0].sum() / pairs[:, 1].sum()), float(low), float(high)


def intervals(record: Record, setting: str, metric: str) -> Iterator[float]:
    """Half widths of the interval of a record by clip, source and class."""
    pairs = record["per_clip"][metric]
    for by in ("clip", "source", "class"):
        _, low, high = interval([pairs], find_clusters(setting, len(pairs), by))
        yield (high - low) / 2


def compare() -> str:
    """What clusters do to the intervals of all records of J-HMDB, as a Markdown table."""
    lines = ["| records | rows | score | clips | half width by clip | by source | by class |"]
    lines.append("|---" * 7 + "|")
    for path in sorted((HERE / "records").rglob("*.jsonl")):
        if _SETTING.match(path.stem) is None:
            continue
        records = read_records(path)
        for metric in ("pck@0.2_box", "top1", "tick_top1"):
            rows = [r for r in records if metric in r["per_clip"]]
            if not rows:
                continue
            widths = np.mean([list(intervals(r, path.stem, metric)) for r in rows], axis=0)
            clips = len(rows[0]["per_clip"][metric])
            cells = [path.stem, len(rows), metric, clips, *(f"{w:.3f}" for w in widths)]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Write the list of clips, or compare intervals."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of J-HMDB")
    args = parser.parse_args()
    if args.data is None:
        print(compare())
        return
    with (args.data / "jhmdb.csv").open(newline="", encoding="utf-8") as file:
        clips = list_clips(list(csv.DictReader(file)))
    text = ",\n".join(f"  {json.dumps(name)}: {json.dumps(part)}" for name, part in clips.items())
    write_whole(CLIPS, "{\n" + text + "\n}\n", where="accuracy.clusters")
    print(f"wrote {CLIPS}")


if __name__ == "__main__":
    main()
