"""Tables of the grid of stages and prediction latencies (grid.py), over its seeds.

    python bench/accuracy/grid_table.py

Intervals (95 %) draw source videos, once for all seeds. The scores of the seeds follow in brackets.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from clusters import find_clusters, interval
from grid import ASKED, HERE, SEEDS, SETTING, Cell, Row, list_rows, skipping_of
from rates import KEPT, format_table
from record_files import Record, read_records

from pvnet.evaluate.metrics import difference

BASE = "predictive, trained"
Known = dict[str, list[Record]]


def read(folder: Path, seeds: int = len(SEEDS)) -> Known:
    """The records by name, a seed each; those of fewer seeds are left out."""
    known: Known = defaultdict(list)
    for path in sorted(folder.glob(f"{SETTING}-seed*.jsonl")):
        for record in read_records(path):
            known[record["name"]].append(record)
    whole = {name: same for name, same in known.items() if len(same) >= seeds}
    return defaultdict(list, whole)


def show(records: list[Record], metric: str = KEPT[0], digits: int = 3) -> str:
    """A score over the seeds, its interval, and each seed's own."""
    if not records:
        return ""
    pairs = [r["per_clip"][metric] for r in records]
    value, low, high = interval(pairs, find_clusters(SETTING, len(pairs[0])))
    text = f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    if metric != KEPT[0] or len(records) == 1:
        return text
    return text + " [" + ", ".join(f"{r['result'][metric]:.{digits}f}" for r in records) + "]"


def apart(ours: list[Record], theirs: list[Record]) -> str:
    """Paired difference over the seeds that both have, and each seed's own."""
    by_seed = {r["seed"]: r["per_clip"][KEPT[0]] for r in theirs}
    both = [(r["per_clip"][KEPT[0]], by_seed[r["seed"]]) for r in ours if r["seed"] in by_seed]
    if not both:
        return ""
    clusters = find_clusters(SETTING, len(both[0][0]))
    whole = difference([a for a, _ in both], [b for _, b in both], clusters=clusters)
    assert whole is not None
    value, (low, high) = whole
    own = (difference([a], [b]) for a, b in both)
    seeds = ", ".join(f"{one[0]:+.3f}" for one in own if one is not None)
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f}) [{seeds}]"


def exact_by_pipeline(row: Row) -> bool:
    """Whether a pipeline of as many stages has the exact answer that is asked for."""
    return row.asked >= row.stages - 1


def latencies(known: Known) -> str:
    """K by P: answers that may be P ticks old."""
    rows = list(list_rows(1))
    exact = [r for r in rows if r.stages == r.every == 1 and r.late == r.asked]
    lines = [["1", "exact", *(show(known[r.name]) for r in exact)]]
    for stages in sorted({r.stages for r in rows} - {1}):
        for label in (BASE, f"{BASE} for P = 0", "parallel at test time only"):
            cells = []
            for asked in ASKED:
                wanted = (stages, asked, label if asked or label != f"{BASE} for P = 0" else BASE)
                (row,) = (r for r in rows if (r.stages, r.asked, r.label) == wanted)
                whole = exact_by_pipeline(row) and label == BASE
                cells.append("exact, by a pipeline" if whole else show(known[row.name]))
            lines.append([str(stages), label, *cells])
    return format_table(["K", "network", *(f"P = {p}" for p in ASKED)], lines)


def answers(known: Known, temporal: int) -> str:
    """Answers that are needed now."""
    lines = []
    for row in list_rows(temporal):
        records = known[row.name]
        if row.asked == 0 and records:
            cells = [show(records, metric) for metric in KEPT[:3]]
            lines.append([str(row.stages), row.label, *cells, show(records, KEPT[3], 1)])
    return format_table(["K", "answers for now", *KEPT[:3], "error, px of 320 x 240"], lines)


def rivals(row: Row) -> dict[str, Row]:
    """What a trained predictive network is compared with, by what people read."""
    every = skipping_of(row.stages, row.cell.temporal)
    exact = Row("", Cell(1, temporal=row.cell.temporal), 1)
    turns = "in turns, or a pipeline of even stages" if row.cell.temporal == 1 else "even pipeline"
    return {
        "exact, at once": exact,
        f"{turns}: exact, {every - 1} late": replace(exact, late=every - 1),
        f"pipeline of {row.stages}: exact, {row.stages - 1} late": replace(
            exact, late=row.stages - 1
        ),
        f"frame skipping, every {every}": replace(exact, every=every, late=every - 1),
        "parallel at test time only": replace(row, cell=exact.cell),
    }


def differences(known: Known, temporal: int) -> str:
    """Every trained predictive network less its rivals, answers needed now."""
    lines = []
    for row in list_rows(temporal):
        if row.label == BASE and row.asked == 0 and known[row.name]:
            for label, other in rivals(row).items():
                cell = apart(known[row.name], known[other.name])
                lines.append([str(row.stages), label, cell])
    return format_table(["K", "predictive, trained, less", KEPT[0]], lines)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, default=HERE / "records" / "grid")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="rows of no fewer seeds")
    args = parser.parse_args()
    known = read(args.records, args.seeds)
    print("## Answers that may be P ticks old\n\n" + latencies(known))
    for temporal in (1, 3):
        print(f"\n## Answers for now, temporal kernels of {temporal}\n")
        print(answers(known, temporal) + "\n\n" + differences(known, temporal))


if __name__ == "__main__":
    main()
