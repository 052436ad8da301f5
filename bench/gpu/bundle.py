"""The few files that a call hands out: table, records, logs, pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from gpu import deadline, record

RECORDS, TABLE, LOGS = "records.json", "table.txt", "logs.txt"
LOG_LINES = 400
PICTURES = ("speed_up.png", "busy_sms.png", "trace.json")


def pack(folder: Path, to: Path, text: str) -> None:
    """Writes the files of one call.

    Args:
        folder: of the records and logs.
        to: gets at most six files, none in a folder of its own.
        text: the last table.
    """
    to.mkdir(parents=True, exist_ok=True)
    found = {path.stem: record.read(path) for path in sorted(folder.glob("*.json"))}
    records = {name: data for name, data in found.items() if data is not None}
    (to / RECORDS).write_text(json.dumps(records, indent=1) + "\n")
    (to / TABLE).write_text(text + "\n")
    logs = [f"== {p.stem}\n{deadline.tail(p, LOG_LINES)}\n" for p in sorted(folder.glob("*.log"))]
    (to / LOGS).write_text("\n".join(logs))
    for name in PICTURES:
        if (folder / name).is_file():
            shutil.copy(folder / name, to / name)


def unpack(to: Path, folder: Path) -> None:
    """The records of an earlier call, where the folder has none: on a machine made anew."""
    if any(folder.glob("*.json")) or not (to / RECORDS).is_file():
        return
    for name, data in json.loads((to / RECORDS).read_text()).items():
        record.write(folder / f"{name}.json", data)
