"""Looking at the headers of many videos, once: what was seen is kept beside the decoded caches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pvnet.data.clips import ClipError
from pvnet.data.files.cache import FORMAT, default_folder
from pvnet.data.files.decode import VideoFacts, probe
from pvnet.data.files.frame_folders import probe_folder
from pvnet.errors import FileError
from pvnet.files import write_whole

_THREADS = 4
_KEEP_FROM = 200  # fewer videos are quicker looked at than kept


def probe_all(paths: Sequence[Path], cache: Path | None) -> list[VideoFacts | str]:
    """Facts of every video, or what is wrong with it.

    Args:
        paths: of video files, or folders of images.
        cache: folder where results are kept; None: the default one.
    """
    if len(paths) < _KEEP_FROM:
        return _probe(paths)
    store = (default_folder() if cache is None else cache) / f"probed-{FORMAT}.json"
    known = _load(store)
    keys = [_key(path) for path in paths]
    new = [(k, p) for k, p in zip(keys, paths) if k not in known]
    for (key, _), result in zip(new, _probe([p for _, p in new])):
        known[key] = (
            result if isinstance(result, str) else [*result.size, result.fps, result.duration_s]
        )
    if new:
        _save(store, known)
    return [_facts(known[key]) for key in keys]


def _probe(paths: Sequence[Path]) -> list[VideoFacts | str]:
    def one(path: Path) -> VideoFacts | str:
        try:
            return probe_folder(path) if path.is_dir() else probe(path)
        except (ClipError, FileError) as error:
            return str(error)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(one, paths))


def _key(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return f"{path.absolute()}:missing"
    return f"{path.absolute()}:{stat.st_size}:{stat.st_mtime_ns}"


def _facts(value: str | list[float]) -> VideoFacts | str:
    if isinstance(value, str):
        return value
    h, w, fps, length = value
    return VideoFacts((int(h), int(w)), fps, length)


def _load(path: Path) -> dict[str, str | list[float]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _save(path: Path, known: dict[str, str | list[float]]) -> None:
    """Replace the file; what is kept only saves time, so a folder that refuses is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(known), where="data.probing")
    except OSError:
        return
