"""The last table: every figure in under 12,000 characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gpu import deadline, figures, record

LIMIT = 11_500
_ERROR_LINES = 8
_HIDDEN = ("right", "error")  # columns that the sign in front of a row stands for


def text(folder: Path, names: Sequence[str]) -> str:
    """The steps one after the other; long ones are cut so that none pushes another out."""
    found = {name: record.read(folder / f"{name}.json") for name in names}
    known = [data for data in found.values() if data is not None]
    head = "\n".join([_head(known), *figures.table(found)])
    parts = [_section(name, data, folder / f"{name}.log") for name, data in found.items()]
    room = LIMIT - len(head) - len(names)
    return "\n".join([head, *_fit(parts, room)])


def code(folder: Path, names: Sequence[str]) -> int:
    """0 when every step is right, else 1."""
    found = [record.read(folder / f"{name}.json") for name in names]
    return 0 if all(data is not None and record.right(data) for data in found) else 1


def _head(records: list[dict[str, Any]]) -> str:
    if not records:
        return "no records"
    facts = records[-1]["facts"]
    shown = ", ".join(f"{key} {facts.get(key)}" for key in record.FACTS if key != "clocks")
    bad = [data["step"] for data in records if not record.right(data)]
    total = sum(data["seconds"] for data in records)
    state = "all right" if not bad else "NOT RIGHT: " + " ".join(bad)
    return f"{shown}\n{len(records)} steps, {total:.0f} s, {state}"


def _section(name: str, data: dict[str, Any] | None, log: Path) -> str:
    if data is None:
        return f"-- {name}: no record"
    wrong = len(record.wrong_rows(data))
    state = data["ended"] if not wrong else f"{data['ended']}, {wrong} ROWS NOT RIGHT"
    lines = [f"-- {name}: {state}, {data['seconds']:.0f} s"]
    lines += [f"   {note}" for note in data["notes"]]
    lines += _tables(data["rows"])
    if data["ended"].startswith(("failed", "ended")):
        lines += ["   | " + line[:150] for line in deadline.tail(log, _ERROR_LINES).splitlines()]
    return "\n".join(lines)


def _tables(rows: list[dict[str, Any]]) -> list[str]:
    """A table for every run of rows with the same columns; wrong rows stand out by `!`."""
    lines: list[str] = []
    block: list[dict[str, Any]] = []
    for row in [*rows, {}]:
        if block and _columns(row) != _columns(block[0]):
            lines += _table(_columns(block[0]), block)
            block = []
        block.append(row)
    return lines


def _columns(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(key for key in row if key not in _HIDDEN and not isinstance(row[key], list | dict))


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> list[str]:
    cells = [list(columns), *([_cell(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = [" ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in cells]
    marks = ["  "] + [_mark(row) for row in rows]
    errors = [""] + [f" {row['error']}" if row.get("error") else "" for row in rows]
    return [mark + line + error for mark, line, error in zip(marks, lines, errors)]


def _mark(row: dict[str, Any]) -> str:
    return "! " if row.get("right") is False or row.get("error") else "  "


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.0f}" if size >= 100 else f"{value:.3g}" if size else "0"
    return str(value)


def _fit(parts: list[str], room: int) -> list[str]:
    """The longest parts give way, evenly; what was cut is in records.json."""
    keep: Callable[[int], int] = lambda limit: sum(min(len(p), limit) for p in parts)  # noqa: E731
    limit = max((len(p) for p in parts), default=0)
    while limit > 100 and keep(limit) > room:
        limit = int(limit * 0.95)
    return [p if len(p) <= limit else _cut(p, limit) for p in parts]


def _cut(part: str, limit: int) -> str:
    end = " ... (the rest: records.json)"
    return part[: max(0, limit - len(end))] + end
