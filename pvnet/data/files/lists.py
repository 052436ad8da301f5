"""Lists of labelled videos as people have them: Kinetics CSVs, own CSVs, mmaction2, ids."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pvnet.errors import FileError

ID_LENGTH = 11  # of a YouTube id; ids may contain _ and -


@dataclass(frozen=True)
class Entry:
    """One line of a list.

    Attributes:
        name: YouTube id (`by_id`) or path.
        label: name of its class or its number as text; None if the list has none.
        by_id: whether `name` is a YouTube id.
        start_s: begin of the part of the original video, None if the list has none.
        end_s: end of the part.
        split: train, val, test, ..., "" if the list has none.
    """

    name: str
    label: str | None
    by_id: bool
    start_s: float | None = None
    end_s: float | None = None
    split: str = ""


def normalise(label: str) -> str:
    """A label as it is compared: trees write `air_drumming` for `air drumming`."""
    return " ".join(label.replace("_", " ").replace("(", " ").replace(")", " ").lower().split())


def read_list(path: Path) -> list[Entry]:
    """The entries of a list file.

    Formats:

    * CSV with a header that has `youtube_id` (official Kinetics), and label, time_start, time_end
      and split where present.
    * CSV with a header that has `path`, and label, start, end and split where present.
    * Lines `PATH LABEL` or `PATH FRAMES LABEL` (mmaction2).
    * One id or path per line.

    Raises:
        FileError: if it cannot be read or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise _unreadable(path, "an empty file")
    header = [cell.strip().lower() for cell in next(csv.reader([lines[0]]))]
    if "youtube_id" in header or "path" in header or "video" in header:
        return _with_header(path, lines, header)
    return [_plain(line) for line in lines]


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names, one per line; the line is the label's number.

    Raises:
        FileError: if it cannot be read or is empty.
    """
    try:
        names = tuple(s.strip() for s in path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    names = tuple(name for name in names if name)
    if not names:
        raise _unreadable(path, "an empty file")
    return names


def _with_header(path: Path, lines: Sequence[str], header: Sequence[str]) -> list[Entry]:
    by_id = "youtube_id" in header
    key = "youtube_id" if by_id else ("path" if "path" in header else "video")
    out = []
    for number, cells in enumerate(csv.reader(lines[1:]), 2):
        if len(cells) < len(header):
            cells += [""] * (len(header) - len(cells))
        row = {name: cell.strip() for name, cell in zip(header, cells)}
        try:
            out.append(
                Entry(
                    row[key],
                    row.get("label") or None,
                    by_id,
                    _number(row.get("time_start") or row.get("start")),
                    _number(row.get("time_end") or row.get("end")),
                    row.get("split", ""),
                )
            )
        except ValueError as error:
            raise _unreadable(path, f"line {number}: {error}") from error
    return out


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _plain(line: str) -> Entry:
    words = line.split()
    if len(words) >= 2 and words[-1].isdigit():
        has_frames = len(words) >= 3 and words[-2].isdigit()
        name = " ".join(words[: -2 if has_frames else -1])  # paths may contain blanks
        return Entry(name, words[-1], False)
    name = line.strip()
    is_path = "/" in name or "." in name or len(name) != ID_LENGTH
    return Entry(name, None, not is_path)


def _unreadable(path: Path, detail: str) -> FileError:
    return FileError(
        f"[data.lists] {path} is not a list of videos: got {detail}, expected a Kinetics CSV, a "
        "CSV with a column path, lines PATH LABEL, or one id per line. See docs/data.md."
    )
