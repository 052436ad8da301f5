"""The file of what was measured: one for all networks of a user, safe against other processes."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pvnet.errors import FileError
from pvnet.files import write_json

FOLDER_VARIABLE = "PVNET_TUNING_DIR"
FORMAT = 1
_NAME = "tuning.json"
_MOST_BYTES = 64 * 2**20

Entry = dict[str, Any]

# What could not be written, so that a process agrees with itself at least.
_unwritten: dict[tuple[str, str], Entry] = {}
_mutex = threading.Lock()


def cache_folder() -> Path:
    """$PVNET_TUNING_DIR, or else pvnet's folder among the user's caches."""
    own = os.environ.get(FOLDER_VARIABLE)
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path("~/.cache").expanduser()) / "pvnet"
    except RuntimeError:  # a user without a home, as in a container: nothing can be kept
        return Path(os.devnull) / "pvnet"


def digest(facts: dict[str, Any]) -> str:
    """The key of an entry: equal for equal facts only."""
    import hashlib  # 4 MB of a library that `import pvnet` does without

    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """Entries by key. An entry that is there stays: results are the same until the file is deleted.

    Attributes:
        path: of the file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or cache_folder()) / _NAME

    def entries(self) -> dict[str, Entry]:
        """All entries. A file that cannot be used is left out, with a warning that says why."""
        entries, wrong, _ = self._read()
        if wrong:
            warnings.warn(wrong, RuntimeWarning, stacklevel=2)
        return entries

    def get(self, key: str, good: Callable[[Any], bool]) -> Entry | None:
        """The entry of a key; None where there is none, or a damaged one, with a warning."""
        entry = self.entries().get(key) or _unwritten.get((str(self.path), key))
        if entry is None or good(entry):
            return entry
        warnings.warn(
            self._wrong(f"a damaged entry {key[:12]}", "Nothing; it is measured and written anew."),
            RuntimeWarning,
            stacklevel=2,
        )
        return None

    def put(self, key: str, entry: Entry, good: Callable[[Any], bool]) -> Entry:
        """Stores an entry, unless another process was first: then that one counts."""
        try:
            with self._locked():
                entries, _, stays = self._read()
                if stays:
                    return _unwritten.setdefault((str(self.path), key), entry)
                if good(entries.get(key)):
                    return entries[key]
                entries[key] = entry
                write_json(self.path, {"format": FORMAT, "entries": entries}, where="tune")
        except (FileError, OSError) as error:
            warnings.warn(
                f"[tune] the cache cannot be written: got {error}, expected a folder for "
                f"'{self.path}'. Set {FOLDER_VARIABLE} to a folder that can be written; until then "
                "every process measures anew.",
                RuntimeWarning,
                stacklevel=2,
            )
            return _unwritten.setdefault((str(self.path), key), entry)
        return entry

    def _read(self) -> tuple[dict[str, Entry], str, bool]:
        """Entries, what is wrong with the file, and whether it has to stay as it is."""
        try:
            if self.path.stat().st_size > _MOST_BYTES:
                return {}, self._wrong(f"more than {_MOST_BYTES} bytes", "Delete it."), True
            document = json.loads(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}, "", False
        except OSError as error:  # others may be able to read it
            return {}, self._wrong(str(error), "Mend its permissions, or delete it."), True
        except (ValueError, RecursionError) as error:
            return {}, self._wrong(f"no JSON ({error})", "Nothing; it is written anew."), False
        version = document.get("format") if isinstance(document, dict) else None
        if isinstance(version, int) and version > FORMAT:
            newer = f"format {version} of a newer pvnet"
            return {}, self._wrong(newer, "Update pvnet, or delete it."), True
        entries = document.get("entries") if version == FORMAT else None
        if not isinstance(entries, dict):
            return {}, self._wrong("another document", "Nothing; it is written anew."), False
        return entries, "", False

    def _wrong(self, got: str, cure: str) -> str:
        return (
            f"[tune] the cache '{self.path}' is ignored: got {got}, expected results of this "
            f"pvnet. {cure}"
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process and one thread at a time. The lock goes with the process that held it.

        It is handed back in so many words: closing the file would leave it to a process that was
        forked meanwhile.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _mutex, self.path.with_suffix(".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
