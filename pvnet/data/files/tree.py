"""The videos under a folder, found by path or by the YouTube id their names begin with."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pvnet.data.files.decode import VIDEO_ENDINGS
from pvnet.data.files.lists import ID_LENGTH, Entry
from pvnet.errors import FileError

_TIMES = re.compile(r"_(\d{6})_(\d{6})$")


class Tree:
    """Index of a folder, flat or with one folder per label.

    Args:
        folder: is walked once, links followed.

    Raises:
        FileError: if it is not a folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileError(
                f"[data] no such folder: got {str(folder)!r}, expected a folder of videos. "
                "Check the path."
            )
        self.folder = folder
        self.files: list[Path] = []
        inner: list[Path] = []  # a list may name folders of images
        for place, folders, names in os.walk(folder, followlinks=True):
            folders.sort()
            here = Path(place)
            found = (n for n in sorted(names) if Path(n).suffix.lower() in VIDEO_ENDINGS)
            self.files += [here / n for n in found]
            inner += [here / n for n in folders]
        self._by_id: dict[str, list[Path]] = {}
        self._by_name: dict[str, list[Path]] = {}
        for path in self.files:
            self._by_id.setdefault(path.stem[:ID_LENGTH], []).append(path)
            self._by_name.setdefault(path.name, []).append(path)
        for path in inner:
            self._by_name.setdefault(path.name, []).append(path)

    def label_of(self, path: Path) -> str | None:
        """Name of the folder a file lies in; None directly in the top folder."""
        return None if path.parent == self.folder else path.parent.name

    def find(self, entry: Entry, times_listed: Mapping[str, int]) -> Path | None:
        """The file of a list entry.

        Args:
            entry: by id, it is joined on the first 11 characters of the file's stem; where files
                of one id have times in their names, the entry's begin decides.
            times_listed: how often each id is listed: an id listed once takes the only file.
        """
        if not entry.by_id:
            return self._by_path(entry.name)
        files = self._by_id.get(entry.name[:ID_LENGTH], [])
        if entry.start_s is None:
            return files[0] if files else None
        timed = [(p, _TIMES.search(p.stem)) for p in files]
        for path, times in timed:
            if times is not None and int(times[1]) == int(entry.start_s):
                return path
        untimed = [p for p, times in timed if times is None]
        if untimed:
            return untimed[0]
        only = len(files) == 1 and times_listed.get(entry.name, 0) == 1
        return files[0] if only else None

    def _by_path(self, name: str) -> Path | None:
        path = Path(name)
        for candidate in (path if path.is_absolute() else self.folder / path,):
            if candidate.exists():
                return candidate
        # Lists are often written for another root: the longest tail of the path that fits.
        tails = self._by_name.get(path.name, [])
        best = max(tails, key=lambda p: _common_tail(p.parts, path.parts), default=None)
        ties = [
            p
            for p in tails
            if best and _common_tail(p.parts, path.parts) == _common_tail(best.parts, path.parts)
        ]
        return best if len(ties) == 1 else None


def _common_tail(a: Sequence[str], b: Sequence[str]) -> int:
    n = 0
    for x, y in zip(reversed(a), reversed(b)):
        if x != y:
            break
        n += 1
    return n
