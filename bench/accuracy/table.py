"""Tables and pictures of the records.

    python bench/accuracy/table.py [--records bench/accuracy/records] [--out tables]
    python bench/accuracy/table.py --against "+ skips" --score top1   # rows less this one
    python bench/accuracy/table.py --by class   # intervals over classes, not over source videos

Writes accuracy.md (one table per setting and experiment, mean over seeds) and one picture of
accuracy over the number of stages per setting, where matplotlib is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from clusters import BY, find_clusters, interval
from matrix import BASE, BESIDE, COMPARED, EXPERIMENTS, FINE_TUNED, SCORE, read_label
from record_files import Record, read_records

from pvnet.evaluate.metrics import difference
from pvnet.files import save_figure, write_whole

Records = dict[tuple[str, str], list[Record]]


def read(folder: Path) -> Records:
    """Records by (setting without its seed, experiment), in the order of their files."""
    found: Records = defaultdict(list)
    for path in sorted(folder.glob("*.jsonl")):
        setting = re.sub(r"-seed\d+$", "", path.stem)
        for record in read_records(path):
            found[setting, record["experiment"]].append(record)
    return found


def merge(records: list[Record], setting: str = "", by: str = "clip") -> list[dict[str, Any]]:
    """One line per row: the mean over seeds, and the widest of the intervals of the seeds.

    Args:
        records: of one experiment.
        setting: whose records they are, without the seed.
        by: what intervals are drawn over, as `find_clusters` takes it.
    """
    by_row: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_row[record["name"]].append(record)
    lines = []
    for same in by_row.values():
        results = [r["result"] for r in same]
        task = results[0]["task"]
        values = [r[SCORE[task]] for r in results]
        clusters = find_clusters(setting, results[0]["clips"], by)
        score, low, high = summarise_seeds(same, SCORE[task], clusters)
        beside = summarise_seeds(same, BESIDE[task], clusters)
        lines.append(
            {
                "label": same[0]["label"],
                "stages": same[0]["row"]["stages"],
                "teacher": same[0]["row"]["training"]["wiring"] == "sequential",
                "fine_tunings": same[0]["row"]["training"].get("fine_tunings", 0),
                "score": score,
                "low": low,
                "high": high,
                "beside": f"{beside[0]:.3f} ({beside[1]:.3f} to {beside[2]:.3f})",
                "drawn": summarise_seeds(same, COMPARED[task], clusters),
                "clusters": clusters,
                "spread": max(values) - min(values),
                "seeds": len(values),
                "clips": results[0]["clips"],
                "first": results[0]["first_scored_tick"],
                "delay": results[0]["information_latency_ticks"] + results[0]["protocol"]["late"],
                "per_clip": {r["seed"]: r["per_clip"] for r in same},
            }
        )
    return sorted(lines, key=lambda line: (line["stages"], line["label"]))


def compare(line: dict[str, Any], lines: list[dict[str, Any]], score: str, label: str) -> str:
    """How much better than the row of this label, over the same clips.

    Of several rows it is the one with as many stages. Over the seeds that both have; with several,
    each seed's own difference follows in brackets.
    """
    found = [o for o in lines if o["label"] == label]
    base = next((o for o in found if o["stages"] == line["stages"]), found[0] if found else None)
    if base is None or base is line or not (line["per_clip"] and base["per_clip"]):
        return ""
    mine, its = (
        {s: c[score] for s, c in o["per_clip"].items() if score in c} for o in (line, base)
    )
    if not (mine and its):  # a metric of the other task
        return ""
    common = mine.keys() & its.keys()
    if common and not (line["teacher"] or base["teacher"]):  # a teacher may serve many seeds
        mine, its = ({s: side[s] for s in sorted(common)} for side in (mine, its))
    clusters = line["clusters"]
    apart = difference(list(mine.values()), list(its.values()), clusters=clusters)
    if apart is None:
        return ""
    value, (low, high) = apart
    both = [difference([mine[s]], [its[s]]) for s in mine if s in its and len(mine) > 1]
    of_seeds = ", ".join(f"{pair[0]:+.3f}" for pair in both if pair)
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})" + (f" [{of_seeds}]" if of_seeds else "")


def find_base(line: dict[str, Any], lines: list[dict[str, Any]]) -> str:
    """Label of the plainly trained student with as many stages and, where there is one, steps."""
    wanted = FINE_TUNED if line["fine_tunings"] == 1 and line["label"] != FINE_TUNED else BASE
    labels = {o["label"] for o in lines if o["stages"] == line["stages"]}
    return wanted if wanted in labels else ""


def summarise_seeds(
    records: list[Record], metric: str, clusters: list[Any] | None
) -> tuple[float, float, float]:
    """Mean over seeds, and the widest of their intervals: low, high.

    Args:
        records: of one row, a seed each.
        metric: one of those that the records have by clip.
        clusters: of the clips; None: as the records say, over clips.
    """
    results = [r["result"] for r in records]
    value = sum(r[metric] for r in results) / len(results)
    if clusters is None:
        found = [tuple(r[f"{metric}_interval"]) for r in results]
    else:
        found = [interval([r["per_clip"][metric]], clusters)[1:] for r in records]
    return value, min(i[0] for i in found), max(i[1] for i in found)


def format_table(lines: list[dict[str, Any]], task: str, args: argparse.Namespace) -> str:
    """A Markdown table."""
    score = args.score or COMPARED[task]
    head = (
        f"| stages | network | {SCORE[task]} | 95 % interval | {score} against {args.against} "
        f"| {BESIDE[task]} | over seeds | seeds | delay, ticks |"
    )
    out = [head, "|---|---|---|---|---|---|---|---|---|"]
    for line in lines:
        label = find_base(line, lines) if args.against == "plain" else args.against
        apart = compare(line, lines, score, label)
        out.append(
            f"| {line['stages']} | {line['label']} | {line['score']:.3f} | {line['low']:.3f} to "
            f"{line['high']:.3f} | {apart} | {line['beside']} | {line['spread']:.3f} "
            f"| {line['seeds']} "
            f"| {line['delay']} |"
        )
    return "\n".join(out)


def draw_picture(lines: list[dict[str, Any]], metric: str, out: Path) -> None:
    """Accuracy over stages, a line per kind of network."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    ceiling = [line for line in lines if line["stages"] == 1]
    for label in dict.fromkeys(line["label"] for line in lines if line["stages"] > 1):
        mine = ceiling + [line for line in lines if line["label"] == label]
        stages, drawn = [v["stages"] for v in mine], [v["drawn"] for v in mine]
        scores = [value for value, _, _ in drawn]
        below, above = zip(*((value - low, high - value) for value, low, high in drawn))
        axes.errorbar(stages, scores, yerr=[below, above], marker="o", capsize=3, label=label)
    axes.set_xlabel("stages")
    axes.set_ylabel(f"{metric} at emission time")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, out, dpi=110)


def main() -> None:
    """Write all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, default=Path(__file__).parent / "records")
    parser.add_argument("--out", type=Path, default=Path("build/accuracy"))
    parser.add_argument(
        "--against",
        default="plain",
        type=read_label,
        metavar="LABEL",
        help="the row that others are compared with (default: the plainly trained student with as "
        "many stages and steps)",
    )
    parser.add_argument(
        "--score", metavar="NAME", help="that is compared (default: where being late shows)"
    )
    parser.add_argument(
        "--by", choices=BY, default="source", help="what intervals are drawn over (clusters.py)"
    )
    args = parser.parse_args()
    found = read(args.records)
    if not found:
        parser.error(f"--records: got no *.jsonl in {args.records}, expected those of run.py")
    known = {k for records in found.values() for r in records for k in r["per_clip"]}
    if args.score and args.score not in known:
        parser.error(f"--score: got {args.score!r}, expected one of {', '.join(sorted(known))}")
    args.out.mkdir(parents=True, exist_ok=True)
    parts = []
    drawable = importlib.util.find_spec("matplotlib") is not None
    for (setting, experiment), records in sorted(
        found.items(), key=lambda item: (item[0][0], EXPERIMENTS.index(item[0][1]))
    ):
        lines = merge(records, setting, args.by)
        task = records[0]["result"]["task"]
        drawn = len(set(lines[0]["clusters"])) if lines[0]["clusters"] else lines[0]["clips"]
        note = (
            f"{lines[0]['clips']} clips, scored from tick {lines[0]['first']} on. Intervals draw "
            f"{drawn} of {'clips' if lines[0]['clusters'] is None else args.by}."
        )
        text = format_table(lines, task, args)
        parts.append(f"## {setting}: {experiment}\n\n{note}\n\n{text}\n")
        if drawable and experiment in ("stages", "techniques"):
            draw_picture(lines, COMPARED[task], args.out / f"{setting}-{experiment}.png")
    write_whole(args.out / "accuracy.md", "\n".join(parts))
    print(f"wrote {args.out / 'accuracy.md'}")


if __name__ == "__main__":
    main()
