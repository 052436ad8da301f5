"""Who catches how many of 1,000 balls: `pvnet demo catch` on lanes as measured and simulated.

    python bench/catch_rates.py --out bench/results/MACHINE/catch     # an hour on two busy cores
    python bench/catch_rates.py --out bench/results/MACHINE/catch --table

A record per setting; settings whose record is there are left. Times of ticks are measured at the
beginning of each, so let other programs rest then.

* `measured`: the lanes of this machine.
* `lanes8`, `lanes16`: simulated, from measured times of the operations.
* `..._fast`: the same with faster balls.
* `frozen`: the control. The world waits for answers, so only the networks' accuracy is left.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpu.machine import commit

from pvnet.report import plain
from pvnet.runtime.machine import machine_record

THROWS = 1000
FEWER = 25  # throws of the control, where every answer takes many ticks
SIMULATED = (8, 16)
SPEEDS = {"": (2, 4), "_fast": (8,)}  # pixels of falling per tick of the sequential network


def settings() -> dict[str, list[str]]:
    """Arguments of `pvnet demo catch` by the name of the setting."""
    throws, found = ["--throws", str(THROWS)], {}
    for lanes in (0, *SIMULATED):
        name, simulated = "measured", []
        if lanes:
            name, simulated = f"lanes{lanes}", ["--lanes-simulated", str(lanes)]
        for end, speeds in SPEEDS.items():
            chosen = [word for speed in speeds for word in ("--speed", str(speed))]
            found[name + end] = [*throws, *simulated, *chosen]
    found["frozen"] = ["--throws", str(FEWER), "--frozen", "--speed", "2"]
    return found


def record_of(document: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """The demo's JSON document with what made it."""
    command = " ".join(["pvnet demo catch", *words])
    about = {"command": command, "commit": commit(), "machine": machine_record()}
    return plain(about | {k: v for k, v in document.items() if k != "files"})


def play(folder: Path) -> None:
    """Settings without a record, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, words in settings().items():
        path = folder / f"{name}.json"
        if path.exists():
            continue
        print(f"playing {name}", file=sys.stderr)
        command = [sys.executable, "-m", "pvnet", "demo", "catch", *words, "--no-files", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        record = record_of(json.loads(done.stdout), words)
        path.write_text(json.dumps(record, indent=1) + "\n")


def signed(score: dict[str, Any]) -> str:
    """Predictive less a row, with its interval."""
    d = score["predictive_minus_this"]
    return f"{d['difference']:+.3f} ({d['low']:+.3f} to {d['high']:+.3f})"


def table_of(record: dict[str, Any]) -> str:
    """A record as two Markdown tables: rates against speed, and what predictive is ahead."""
    rows = record["rows"]
    speeds = [f"{score['speed_px_per_tick']:g} px" for score in rows[0]["scores"]]
    lines = ["| " + " | ".join(["row", "a frame every, ms", "answer after, ms", *speeds]) + " |"]
    lines.append("|---" * (3 + len(speeds)) + "|")
    for row in rows:
        rates = [f"{s['rate']:.3f} ({s['low']:.3f} to {s['high']:.3f})" for s in row["scores"]]
        cells = [row["title"], f"{row['period_ms']:.2f}", f"{row['delay_ms']:.2f}", *rates]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| " + " | ".join(["predictive less", *speeds]) + " |"]
    lines.append("|---" * (1 + len(speeds)) + "|")
    for row in rows[:-1]:
        lines.append("| " + " | ".join([row["title"], *map(signed, row["scores"])]) + " |")
    return "\n".join(lines)


def joined(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Records of the same lanes as one; times of ticks are those of the first."""
    first, *others = records
    rows = []
    for number, row in enumerate(first["rows"]):
        more = [score for other in others for score in other["rows"][number]["scores"]]
        rows.append(row | {"scores": row["scores"] + more})
    return first | {"rows": rows}


def title_of(record: dict[str, Any]) -> str:
    """What was played."""
    lanes = f"{record['lanes']}{' simulated' if record['lanes_simulated'] else ''} lanes"
    frozen = ", frozen world (control)" if record["frozen"] else ""
    return f"{lanes}, {record['throws']} throws{frozen}"


def main() -> None:
    """Play what has no record, or print the tables of the records."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the records")
    parser.add_argument("--table", action="store_true", help="print tables, play nothing")
    args = parser.parse_args()
    if not args.table:
        play(args.out)
    paths = {name: args.out / f"{name}.json" for name in settings()}
    there = {name: json.loads(p.read_text()) for name, p in paths.items() if p.exists()}
    for base in dict.fromkeys(name.partition("_")[0] for name in there):
        mine = [record for name, record in there.items() if name.partition("_")[0] == base]
        print(f"{title_of(mine[0])}:\n\n{table_of(joined(mine))}\n")


if __name__ == "__main__":
    main()
