"""Tables of the records: how many times as long a peer takes, what has a bar, where pvnet loses."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvnet.tables import layout

# What counts for a bar: the best of these, on the same number of threads.
RIVALS = ("openvino", "openvino streams", "onnxruntime")
# No bar counts these: they take several times as long, or minutes to compile.
SLOW = ("torch", "torch compile", "continual")
_WIDTH = 120
_ALIKE = 2.0  # times as far apart, cores count as apart by the same
# A machine that other programs keep busier than that says little.
_QUIET = 0.1
Record = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """What must be reached.

    Attributes:
        network, own: of a record, and pvnet's engine in it.
        against: engines; the quickest of them counts. () = the same engine on one thread.
        least, aim: times as long as own.
    """

    network: str
    own: str
    against: tuple[str, ...]
    least: float
    aim: float


BARS = (
    Bar("inception_frame", "pvnet", RIVALS, 1.15, 1.35),
    Bar("inception_single", "pvnet", RIVALS, 1.4, 1.8),
    Bar("densenet", "pvnet parallel", RIVALS, 1.2, 1.5),
    Bar("resnet18", "pvnet", RIVALS, 1.2, 1.5),
    Bar("resnet50", "pvnet", RIVALS, 1.03, 1.15),
    Bar("mobilenet_v2", "pvnet", RIVALS, 0.95, 1.15),
    Bar("movenet", "pvnet", RIVALS, 0.95, 1.15),
    Bar("inception_i3d", "pvnet", ("pvnet single-rate",), 2.2, 2.4),
    Bar("inception_halving", "pvnet", ("pvnet single-rate",), 2.2, 2.4),
    Bar("inception_single", "pvnet", ("openvino window",), 12, 30),
    Bar("inception_i3d", "pvnet", ("openvino window",), 12, 30),
    Bar("inception_single", "pvnet parallel", (), 1.88, 1.95),
    Bar("densenet", "pvnet parallel", (), 1.88, 1.95),
)


def slug(cpu: str, cpus: int) -> str:
    """A machine in a path: "AMD EPYC", 2 -> "epyc-2core"."""
    words = re.sub(r"\(.*?\)|@.*|\b(amd|intel|cpu|processor)\b", " ", cpu.lower())
    name = "-".join(re.findall(r"[a-z0-9]+", words)[:2])
    return f"{name or 'cpu'}-{cpus}core"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Wider than a terminal may be: a network stays a line."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [i > 0 for i in range(len(header))]
    return layout(header, cells, right=right, width=_WIDTH)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return "-" if value is None else str(value)


def read(folder: Path) -> dict[str, Record]:
    """The records of a folder by network."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        found[record["network"]] = record
    return found


def ratio(row: Row, own: Row) -> float | None:
    """How many times as long as `own` a row takes: the median over the rounds.

    Rounds whose two turns found the cores at other distances count only if there are no others.
    """
    pairs = list(zip(row.get("rounds_ms", []), own.get("rounds_ms", [])))
    far = list(zip(row.get("rounds_core_ns", []), own.get("rounds_core_ns", [])))
    alike = [pair for pair, ns in zip(pairs, far) if max(ns) <= _ALIKE * min(ns)]
    ratios = [a / b for a, b in alike or pairs]
    return statistics.median(ratios) if ratios else None


def _core_ns(row: Row) -> float | str:
    found = row.get("rounds_core_ns")  # older records have none
    return statistics.median(found) if found else ""


def find(record: Record, engine: str, threads: int) -> Row:
    """A row; {} where it was not measured, or was refused."""
    for row in record["rows"]:
        if (row["engine"], row["threads"]) == (engine, threads) and "ms" in row:
            return dict(row)
    return {}


def of_network(record: Record) -> str:
    """All engines of a network."""
    lines = []
    for row in record["rows"]:
        if "ms" not in row:
            continue
        own = find(record, "pvnet", row["threads"])
        lines.append(
            (
                row["engine"], row["threads"], row["ms"], row["p50_ms"], row["p99_ms"],
                f"{100 * row['spread']:.0f} %", ratio(row, own), f"{100 * row['of_peak']:.0f} %",
                row["peak_gflops"], f"{100 * row['others']:.0f} %", _core_ns(row),
            )
        )  # fmt: skip
    header = ("engine", "threads", "ms/frame", "p50", "p99", "spread", "/ pvnet", "of peak",
              "peak", "others", "core to core, ns")  # fmt: skip
    left_out = [
        f"left out: {row['engine']} x{row['threads']}: {row['error']}"
        for row in record["rows"] if "error" in row
    ]  # fmt: skip
    dry = ", dry: the times say nothing" if record["dry"] else ""
    title = f"{record['label']}, {record['gmac']:.2f} GMAC a frame, {record['commit']}{dry}"
    return "\n".join([title, table(header, lines), *left_out, ""])


def table_of(records: dict[str, Record]) -> str:
    """What a reader wants to know of all records."""
    if not records:
        return "no records; run bench/peers.py first"
    header = ("network", "threads", "pvnet ms", "of peak", *RIVALS, "torch", "compile")
    cells = [line for record in records.values() for line in _ratios(record)]
    parts = [
        "Times as long as pvnet in sequential wiring (above 1 pvnet is quicker):",
        table(header, cells),
        "",
        table(("bar", "threads", "found", "least", "aim", ""), _bars(records)),
        "",
        *(losses(records) or ["no losses"]),
        "",
        *(_source(record) for record in records.values()),
    ]
    return "\n".join(parts)


def _threads(record: Record) -> list[int]:
    return sorted({row["threads"] for row in record["rows"]})


def _ratios(record: Record) -> list[Sequence[object]]:
    """A line for each number of threads."""
    lines: list[Sequence[object]] = []
    for threads in _threads(record):
        own = find(record, "pvnet", threads)
        if own:
            peers = (*RIVALS, "torch", "torch compile")
            found = [ratio(find(record, peer, threads), own) for peer in peers]
            share = f"{100 * own['of_peak']:.0f} %"
            lines.append((record["label"], threads, own["ms"], share, *found))
    return lines


def held(bar: Bar, record: Record) -> tuple[int, float, str] | None:
    """Threads, times as long as own, and the engine that came nearest; None = not measured."""
    threads = _threads(record)[-1]
    own = find(record, bar.own, threads)
    against = [(engine, threads) for engine in bar.against] or [(bar.own, 1)]
    found = [(ratio(find(record, *one), own), one[0]) for one in against if own]
    known = [(value, engine) for value, engine in found if value is not None]
    if not known or (not bar.against and threads == 1):
        return None
    value, engine = min(known)
    return threads, value, engine


def _bars(records: dict[str, Record]) -> list[Sequence[object]]:
    lines: list[Sequence[object]] = []
    for bar in BARS:
        record = records.get(bar.network)
        if record is None:
            continue
        result = held(bar, record)
        if result is None:
            lines.append((_told(bar, record, ""), None, None, bar.least, bar.aim, "not measured"))
            continue
        threads, value, engine = result
        short = f"missed by {100 * (1 - value / bar.least):.0f} %"
        verdict = "aim reached" if value >= bar.aim else "held" if value >= bar.least else short
        lines.append((_told(bar, record, engine), threads, value, bar.least, bar.aim, verdict))
    return lines


def _told(bar: Bar, record: Record, engine: str) -> str:
    against = "1 lane" if not bar.against else engine or " or ".join(bar.against)
    return f"{record['label']}: {against} / {bar.own}"


def losses(records: dict[str, Record]) -> list[str]:
    """A line for every peer that was quicker than the best of pvnet's wirings.

    Exact answers that come a frame late count only where the peer's do, too.
    """
    lines = []
    for record in records.values():
        for threads in _threads(record):
            for row in record["rows"]:
                if row["engine"].startswith("pvnet") or row["threads"] != threads:
                    continue
                late = ("pvnet pipelined",) if row["engine"] == "openvino streams" else ()
                own = [find(record, name, threads) for name in ("pvnet", "pvnet parallel", *late)]
                found = [value for one in own if (value := ratio(row, one)) is not None]
                if found and max(found) < 1:
                    lines.append(
                        f"loss: {record['label']} x{threads}: {row['engine']} takes "
                        f"{max(found):.2f} of pvnet's time"
                    )
    return lines


def _source(record: Record) -> str:
    rows = [row for row in record["rows"] if "ms" in row]
    peak = statistics.median(row["peak_gflops"] for row in rows) if rows else 0.0
    others = max((row["others"] for row in rows), default=0.0)
    return (
        f"{record['network']}: {record['made']}, commit {record['commit']}, FMA peak {peak:.0f} "
        f"GFLOP/s a core, other programs at most {100 * others:.0f} % of the machine"
        + (", busy: measure again" if others > _QUIET else "")
        + (", dry" if record["dry"] else "")
    )
