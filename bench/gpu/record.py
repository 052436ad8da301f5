"""The record of a step: rows in a JSON file, written anew at every row.

A step that is ended at its deadline leaves what it had measured by then. The standard library is
all that this file takes: it must work before pvnet is built.

    {"step": "own", "dry": false, "ended": "done", "seconds": 41.2, "facts": {...},
     "rows": [{...}], "notes": ["..."]}
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNNING, DONE = "running", "done"
FIELDS = {
    "step": str,
    "dry": bool,
    "ended": str,
    "seconds": float,
    "facts": dict,
    "rows": list,
    "notes": list,
}
# What every record says of its machine; None where there is no such thing.
FACTS = ("card", "driver", "commit", "clocks", "bf16_tflops", "cpu", "cpus", "python")


@dataclass
class Record:
    """What a step has found so far; each addition is on disk when the call returns."""

    path: Path
    data: dict[str, Any]

    @classmethod
    def begin(cls, path: Path, step: str, *, dry: bool) -> Record:
        """A new file, without rows."""
        empty = {"step": step, "dry": dry, "ended": RUNNING, "seconds": 0.0, "facts": {}}
        record = cls(path, {**empty, "rows": [], "notes": []})
        record.write()
        return record

    def add(self, **row: Any) -> None:
        """One figure with all that belongs to it."""
        self.data["rows"].append(row)
        self.write()

    def note(self, text: str) -> None:
        """What a reader must know of the figures."""
        self.data["notes"].append(text)
        self.write()

    def end(self) -> None:
        """All rows are there."""
        self.data["ended"] = DONE
        self.write()

    def write(self) -> None:
        write(self.path, self.data)


def write(path: Path, data: dict[str, Any]) -> None:
    """The whole file or nothing, whenever this process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_json(data), indent=1) + "\n")
    os.replace(part, path)  # noqa: PTH105


def read(path: Path) -> dict[str, Any] | None:
    """A record, or None where there is none that can be read."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and not faults(data, facts=False) else None


def faults(data: dict[str, Any], *, facts: bool = True) -> list[str]:
    """What of a record is not in form; without `facts`, of one that the runner has not seen."""
    found = [
        f"{name} is {type(data.get(name)).__name__}"
        for name, kind in FIELDS.items()
        if not isinstance(data.get(name), kind)
    ]
    if facts and isinstance(data.get("facts"), dict):
        found += [f"no fact '{name}'" for name in FACTS if name not in data["facts"]]
    return found


def right(data: dict[str, Any]) -> bool:
    """Whether a step came to its end, and every check of its rows held."""
    return data["ended"] == DONE and not wrong_rows(data)


def wrong_rows(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows whose results were not what they must be, or that have an error instead of a figure."""
    return [row for row in data["rows"] if row.get("right") is False or row.get("error")]


def program(step: str, body: Callable[[Record, bool], None]) -> None:
    """The main function of a step's program: arguments, the record, `body(record, dry)`."""
    parser = argparse.ArgumentParser(prog=f"gpu.{step}")
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    parser.add_argument("--dry", action="store_true", help="a small size, without a GPU")
    args = parser.parse_args()
    record = Record.begin(args.out, step, dry=args.dry)
    body(record, args.dry)
    record.end()


def message(error: BaseException) -> str:
    """The first line of an error, for a row."""
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:300]


def _json(value: Any) -> Any:
    """Numbers of numpy as those of Python; what is not finite is null."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and value - value != 0:
        return None
    return value
