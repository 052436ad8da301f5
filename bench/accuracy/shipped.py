"""Scores shipped networks of joints on J-HMDB, wired as they are shipped and in other ways.

    python bench/accuracy/shipped.py movenet --data jhmdb:FOLDER
    python bench/accuracy/shipped.py movenet --data jhmdb:FOLDER --table

Every row is scored at emission time, on the same ticks; a record per row goes to
records/shipped/NAME-jhmdb-split1.jsonl, with the scores of the clips beside it (record_files.py).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clusters import BY, find_clusters, interval
from record_files import Record, add_record, key, read_records

from pvnet import data, models, runtime
from pvnet.evaluate.evaluation import Protocol, evaluate
from pvnet.runtime.machine import machine_record

HERE = Path(__file__).parent
SCORE = "pck@0.2_box"
KEPT = (SCORE, "pck@0.1_box", "pck@0.2_person", "pck@0.2_torso")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        label: for people.
        file: the shipped file whose weights run.
        wiring: in which they run.
        stages: K.
    """

    label: str
    file: str
    wiring: str
    stages: int

    @property
    def name(self) -> str:
        """Of its record."""
        return f"{self.file}_{self.wiring}{self.stages}"


def rows(family: str, more: list[int]) -> list[Row]:
    """Sequential; for every number of stages trained, late, and parallel at test time only."""
    shipped = [one for one in models.shipped() if one.family == family]
    (sequential,) = (one.name for one in shipped if one.wiring == "sequential")
    found = [Row("sequential", sequential, "sequential", 1)]
    trained = {stages: one.name for one in shipped for stages in one.good_for}
    for stages in sorted({*trained, *more}):
        if stages in trained:
            name = trained[stages]
            found.append(Row("predictive, distilled", name, "predictive", stages))
        found.append(Row("parallel at test time only", sequential, "predictive", stages))
        found.append(Row("pipelined, scored with its delay", sequential, "pipelined", stages))
    return found


def load(row: Row) -> runtime.Model:
    """The network of a row."""
    model = models.pretrained(row.file)
    if (row.wiring, row.stages) == (model.graph.wiring, model.graph.n_stages):
        return model
    graph = models.rewired(model, row.wiring, row.stages).graph
    return runtime.Model(graph, model.weights, model.metadata)


def score(row: Row, family: str, dataset: Any, first_tick: int) -> Record:
    """The record of a row."""
    print(f"scoring {row.name}", flush=True)
    protocol = replace(Protocol(), first_tick=first_tick)
    how: dict[str, Any] = {"task": "joints", "protocol": protocol, "per_clip": True}
    result = evaluate(load(row), dataset, lanes=1, **how)
    result.get("left_out", {}).pop("listed", None)  # the records tell how many, not which
    per_clip = {k: v for k, v in result.pop("per_clip").items() if k in KEPT}
    result |= {"model": row.file, "stages": row.stages}
    record = {"name": row.name, "experiment": "shipped", "label": row.label, "family": family}
    return record | {"result": result, "machine": machine_record(), "per_clip": per_clip}


def table(records: list[Record], setting: str = "", by: str = "source") -> str:
    """The records as a Markdown table, with intervals over sources, classes or clips."""
    lines = [f"| stages | network | {SCORE} | 95 % interval | pck@0.1_box | delay, ticks |"]
    lines.append("|---" * 6 + "|")
    order = {"sequential": 0, "predictive, distilled": 1, "parallel at test time only": 2}
    for record in sorted(
        records, key=lambda r: (r["result"]["stages"], order.get(r["label"], 3))
    ):
        result = record["result"]
        pairs = record["per_clip"][SCORE]
        _, low, high = interval([pairs], find_clusters(setting, len(pairs), by))
        cells = [
            str(result["stages"]),
            record["label"],
            f"{result[SCORE]:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{result['pck@0.1_box']:.3f}",
            str(result["information_latency_ticks"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Score what has no record yet."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("family", help="of the shipped files, as movenet")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--first-tick", type=int, default=0, help="of every row")
    parser.add_argument("--more-stages", type=int, nargs="*", default=[], metavar="K")
    parser.add_argument("--only", metavar="TEXT", default="", help="rows whose names have it")
    parser.add_argument("--records", type=Path, default=HERE / "records" / "shipped")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--by", choices=BY, default="source", help="what intervals are drawn over")
    args = parser.parse_args()
    path = args.records / f"{args.family}-jhmdb-split1.jsonl"
    if not args.table:
        wanted = [row for row in rows(args.family, args.more_stages) if args.only in row.name]
        first = load(wanted[0])
        crop = "letterbox" if first.metadata.get("fit") == "letterbox" else "none"
        size = first.graph.nodes[0].shape[1:]
        how: dict[str, Any] = {"train": False, "frames": None, "task": "joints", "crop": crop}
        dataset = data.open_dataset(args.data, split=1, size=size, **how)
        for row in wanted:
            if ("shipped", row.name) not in map(key, read_records(path)):
                add_record(path, score(row, args.family, dataset, args.first_tick))
    print(table(read_records(path), path.stem, args.by))


if __name__ == "__main__":
    main()
