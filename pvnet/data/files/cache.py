"""Decoded videos in one memory-mapped file: built once, keyed by what was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import ClipError
from pvnet.data.files.decode import Decoded, decode_all
from pvnet.data.files.locks import lock
from pvnet.errors import FileError

FORMAT = 2  # goes up when the same video is decoded to other pixels or times
_THREADS = 2


def default_folder() -> Path:
    """`$PVNET_CACHE`, else `pvnet` in the user's cache folder."""
    given = os.environ.get("PVNET_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pvnet"


@dataclass(frozen=True)
class Request:
    """What a cache holds.

    Attributes:
        paths: video files or folders of images.
        size: (h, w) of the frames; None: each video's own, made smaller by `scale`.
        scale: factor on the own size (with size None).
        max_frames: of each video, None for all.
    """

    paths: tuple[Path, ...]
    size: tuple[int, int] | None
    scale: float = 1.0
    max_frames: int | None = None

    def key(self) -> str:
        """Name that changes with the files (path, length, time of change) and the settings."""
        digest = hashlib.sha256()
        settings = [FORMAT, self.size, self.scale, self.max_frames]
        digest.update(json.dumps(settings).encode())
        for path in self.paths:
            try:
                stat = path.stat()
                mark = f"{stat.st_size}:{stat.st_mtime_ns}"
            except OSError:
                mark = "missing"
            digest.update(f"\n{path.absolute()}\t{mark}".encode())
        return digest.hexdigest()[:24]


class FrameCache:
    """Frames of many videos by row; reading one is a view of mapped memory.

    Args:
        folder: made by `open_cache`.

    Attributes:
        offset: int64 [n + 1] rows of `times_s`.
        problems: text per video, "" where it was read.
    """

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "index.npz") as index:
            self.offset: NDArray[np.int64] = index["offset"]
            self._begin: NDArray[np.int64] = index["begin"]
            self._size: NDArray[np.int64] = index["size"]
            self._source: NDArray[np.int64] = index["source"]
            self._fps: NDArray[np.float64] = index["fps"]
            self._times: NDArray[np.float64] = index["times_s"]
            self.problems = tuple(str(p) for p in index["problems"])
        self._folder = folder
        self._map: NDArray[np.uint8] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}  # a worker maps the file itself

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.offset) - 1

    @property
    def n_frames(self) -> int:
        """Frames of all videos."""
        return int(self.offset[-1])

    def frames(self, i: int) -> NDArray[np.uint8]:
        """uint8 [n, h, w, 3] of video i, mapped, read-only."""
        if self._map is None:
            self._map = np.load(self._folder / "frames.npy", mmap_mode="r")
        h, w = self._size[i]
        n = int(self.offset[i + 1] - self.offset[i])
        begin = int(self._begin[i])
        return self._map[begin : begin + n * int(h) * int(w) * 3].reshape(n, int(h), int(w), 3)

    def times_s(self, i: int) -> NDArray[np.float64]:
        """Time stamps [n] of video i from its first frame."""
        return self._times[self.offset[i] : self.offset[i + 1]]

    def source_size(self, i: int) -> tuple[int, int]:
        """(h, w) of the pictures before they were resized."""
        return (int(self._source[i, 0]), int(self._source[i, 1]))

    def fps(self, i: int) -> float:
        """Frames per second of video i."""
        return float(self._fps[i])


def open_cache(request: Request, folder: Path | None = None) -> FrameCache:
    """The cache of a request; decodes everything if it is not there yet.

    It appears complete or not at all: it is built under another name and renamed, and of several
    processes that ask at the same time one builds and the others wait.

    Raises:
        FileError: if the folder cannot be written.
    """
    base = default_folder() if folder is None else folder
    place = base / f"frames-{request.key()}"
    try:
        if not (place / "index.npz").exists():
            base.mkdir(parents=True, exist_ok=True)
            with lock(base / f"{place.name}.lock"):
                if not (place / "index.npz").exists():
                    _build(request, place)
        return FrameCache(place)
    except ClipError:
        raise
    except OSError as error:
        raise FileError(
            f"[data.cache] {base} cannot be used: got {error}, expected a folder that can be "
            "written, with room for the frames. Set PVNET_CACHE to another folder."
        ) from error


def _target(request: Request, path: Path) -> tuple[int, int] | None:
    if request.size is not None or request.scale == 1.0:
        return request.size
    from pvnet.data.files.decode import probe

    h, w = probe(path).size
    return (max(8, round(h * request.scale)), max(8, round(w * request.scale)))


def _decode(request: Request, path: Path) -> Decoded | str:
    try:
        return decode_all(path, size=_target(request, path), max_frames=request.max_frames)
    except (FileError, OSError) as error:
        return str(error)


def _build(request: Request, place: Path) -> None:
    """With the lock held: no other process builds this one."""
    for left in place.parent.glob(f"{place.name}.*.part"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    work = place.with_name(f"{place.name}.{os.getpid()}.part")
    work.mkdir()
    try:
        rows = _write(request, work / "frames.bin")
        _finish(rows, work)
        shutil.rmtree(place, ignore_errors=True)
        work.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _decode_in_order(request: Request) -> Iterator[Decoded | str]:
    """Decoded videos in order, a few ahead of the one being written."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: list[Future[Decoded | str]] = []
        for path in request.paths:
            waiting.append(pool.submit(_decode, request, path))
            if len(waiting) > 2 * _THREADS:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _write(request: Request, path: Path) -> list[Decoded | str]:
    rows: list[Decoded | str] = []
    with path.open("wb") as file:
        for result in _decode_in_order(request):
            if isinstance(result, str):
                rows.append(result)
                continue
            file.write(np.ascontiguousarray(result.frames).data)
            n, h, w, _ = result.frames.shape
            hollow = np.broadcast_to(np.zeros(1, np.uint8), (n, h, w, 3))  # keeps only the shape
            kept = (hollow, result.times_s, result.source_size, result.fps, result.damaged)
            rows.append(Decoded(*kept))
    return rows


def _finish(rows: Sequence[Decoded | str], work: Path) -> None:
    """Give the raw bytes an .npy header, and write the index."""
    good = [None if isinstance(r, str) else r for r in rows]
    counts = [0 if r is None else len(r.times_s) for r in good]
    shapes = [(0, 0) if r is None else r.frames.shape[1:3] for r in good]
    bytes_each = [n * h * w * 3 for n, (h, w) in zip(counts, shapes)]
    total = int(sum(bytes_each))
    with (work / "frames.npy").open("wb") as out, (work / "frames.bin").open("rb") as raw:
        header = {"descr": "|u1", "fortran_order": False, "shape": (total,)}
        np.lib.format.write_array_header_1_0(out, header)
        shutil.copyfileobj(raw, out, 1 << 24)
    (work / "frames.bin").unlink()
    np.savez(
        work / "index.npz",
        offset=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        begin=np.concatenate([[0], np.cumsum(bytes_each)[:-1]]).astype(np.int64),
        size=np.array(shapes, np.int64).reshape(-1, 2),
        source=np.array([(0, 0) if r is None else r.source_size for r in good], np.int64),
        fps=np.array([0.0 if r is None else r.fps for r in good]),
        times_s=np.concatenate([np.zeros(0), *(r.times_s for r in good if r is not None)]),
        problems=np.array([r if isinstance(r, str) else "" for r in rows], np.str_),
    )
