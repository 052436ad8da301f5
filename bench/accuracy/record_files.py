"""The records of a setting: scores in NAME.jsonl, those of its clips in NAME.npz beside it.

NAME is the setting and its seed. A line is the record of one row of one experiment; the lines are
sorted by (experiment, name). `per_clip` of a line gives the digest of each array. The array itself
is EXPERIMENT/NAME/METRIC in the NPZ: float64 [clips, 2], sum and count of every clip.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.files.locks import lock
from pvnet.errors import FileError
from pvnet.files import whole_file, write_whole

Record = dict[str, Any]
Arrays = dict[str, NDArray[np.float64]]
_WHERE = "accuracy.records"
_OLDEST = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier time; the same scores give the same bytes
# What zipfile and numpy say of damaged files.
_UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def key(record: Record) -> tuple[str, str]:
    """What tells a record from the others of its file: experiment and name."""
    return record["experiment"], record["name"]


def read_records(path: Path) -> list[Record]:
    """The records of NAME.jsonl with `per_clip` as arrays by metric; none if it is not there.

    Arrays without a line are those of a row that was not finished, and are left out.

    Raises:
        FileError: if a file is damaged, or the two do not belong together.
    """
    records = _read_lines(path)
    arrays = _read_arrays(path.with_suffix(".npz")) if records else {}
    for record in records:
        digests = record["per_clip"]
        record["per_clip"] = {m: arrays.get(_entry(record, m)) for m in digests}
        for metric, array in record["per_clip"].items():
            if array is None or _digest(array) != digests[metric]:
                got = "no" if array is None else "other"
                raise FileError(
                    f"[{_WHERE}] '{path.with_suffix('.npz')}' does not belong to '{path.name}': "
                    f"got {got} scores '{_entry(record, metric)}', expected those whose digest the "
                    "line has. Take both files from one place, or delete the line and score the "
                    "row again."
                )
    return records


def add_record(path: Path, record: Record) -> None:
    """Put a record into NAME.jsonl and NAME.npz, for that of its experiment and name if any.

    Whenever the process is killed, both files are whole and every other record is in them: the NPZ
    is written first, and a line is there only while its arrays are.

    Args:
        path: NAME.jsonl; its folder is made.
        record: with `per_clip`, pairs of (sum, count) by metric, of every clip.

    Raises:
        FileError: as `read_records`, or if a file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clips = {m: np.array(pairs, "<f8").reshape(-1, 2) for m, pairs in record["per_clip"].items()}
    with lock(path.with_suffix(".lock")):  # another experiment of the setting may be at it
        before = read_records(path)
        others = [r for r in before if key(r) != key(record)]
        if len(others) < len(before):
            _write_lines(path, others)
        records = sorted([*others, record | {"per_clip": clips}], key=key)
        _write_arrays(path.with_suffix(".npz"), records)
        _write_lines(path, records)


def _entry(record: Record, metric: str) -> str:
    return "/".join((*key(record), metric))


def _digest(array: NDArray[np.float64]) -> str:
    head = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()[:16]


def _read_lines(path: Path) -> list[Record]:
    records: dict[tuple[str, str], Record] = {}
    number = 1
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            record = json.loads(line)
            if not isinstance(record["per_clip"], dict):
                raise ValueError("a record without per_clip")
            if key(record) in records:
                raise ValueError(f"a second record '{'/'.join(key(record))}'")
            records[key(record)] = record
            number += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(
            f"[{_WHERE}] '{path}' is damaged in line {number}: got {type(error).__name__} {error}, "
            "expected a record a line, as run.py writes them. Take the file from git, or delete "
            "the line and score the row again."
        ) from error
    return list(records.values())


def _read_arrays(path: Path) -> Arrays:
    try:
        with zipfile.ZipFile(path) as archive:
            return {n.removesuffix(".npy"): _read_array(archive, n) for n in archive.namelist()}
    except _UNREADABLE as error:
        raise FileError(
            f"[{_WHERE}] '{path}' cannot be read: got {type(error).__name__} {error}, expected the "
            f"scores of the clips of '{path.stem}.jsonl'. Take both files from one place."
        ) from error


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[np.float64]:
    with archive.open(name) as entry:
        return np.asarray(np.lib.format.read_array(entry, allow_pickle=False))


def _write_lines(path: Path, records: Iterable[Record]) -> None:
    lines = (
        json.dumps(r | {"per_clip": {m: _digest(a) for m, a in r["per_clip"].items()}}) + "\n"
        for r in records
    )
    write_whole(path, "".join(lines), where=_WHERE)


def _write_arrays(path: Path, records: Iterable[Record]) -> None:
    with whole_file(path, where=_WHERE) as file, zipfile.ZipFile(file, "w") as archive:
        for record in records:
            for metric, array in record["per_clip"].items():
                about = zipfile.ZipInfo(f"{_entry(record, metric)}.npy", _OLDEST)
                about.compress_type = zipfile.ZIP_DEFLATED
                about.create_system = 3  # else the system's
                with archive.open(about, "w") as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
