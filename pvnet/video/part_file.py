"""A file that gets its name when it is complete; until then it lies beside it.

An existing file under the name stays until then. FFmpeg never sees a disk that fails (its muxers
crash on some errors): what cannot be written is swallowed, and `check` says so.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

from pvnet.errors import FileError
from pvnet.files import reason
from pvnet.video.formats import is_special

_LONGEST_NAME = 255
_MAX_PARTS = 1000


class PartFile:
    """`clip.mp4`, written as `clip.partial.mp4`; a device or a pipe is written as it is.

    A symbolic link is followed: its target is replaced, not the link.

    Args:
        path: where the complete file goes.
        where: begins the message of an error.

    Raises:
        FileError: if nothing can be written there.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, where: str = "video.VideoWriter"
    ) -> None:
        self.path = Path(path)
        self.error: OSError | None = None
        self.others: list[Path] = []
        self.direct = is_special(path)
        try:
            self._target = Path(os.path.realpath(path))
            if self._target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self.part, self._file = self._open()
        except (OSError, ValueError) as error:
            raise FileError(
                f"[{where}] cannot write {str(path)!r}: got {reason(error)}, expected a "
                "folder that exists and may be written. Make it, or choose another."
            ) from error
        self.sink = Pipe(self) if self.direct else Sink(self)

    def _open(self) -> tuple[Path, io.FileIO]:
        if self.direct:
            return self._target, io.FileIO(self._target, "w")
        for number in range(1, _MAX_PARTS):
            part = part_name(self._target, number)
            try:
                return part, io.FileIO(part, "x+")
            except FileExistsError:  # of a killed program, or of one that still runs
                self.others.append(part)
        raise FileExistsError(errno.EEXIST, f"{_MAX_PARTS} files like {part_name(self._target, 1)}")

    def put(self, data: memoryview) -> None:
        """Append all bytes, or remember why not."""
        while len(data) and self.error is None:
            try:
                data = data[self._file.write(data) or 0 :]
            except OSError as error:
                self.error = error

    def seek(self, offset: int, whence: int) -> int:
        """Move the position of the next byte."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position of the next byte."""
        return self._file.tell()

    def size_bytes(self) -> int:
        """Bytes written so far."""
        return os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, n: int) -> bytes:
        """Some bytes of what was written."""
        return os.pread(self._file.fileno(), n, offset)

    def write_at(self, offset: int, data: bytes) -> None:
        """Replace some bytes of what was written."""
        os.pwrite(self._file.fileno(), data, offset)

    def cut(self, size_bytes: int) -> None:
        """Give up what lies behind."""
        self._file.truncate(size_bytes)

    def commit(self) -> None:
        """Close it and give it its name, on the disk for good.

        Raises:
            OSError: if the system refuses; the part is still there.
        """
        try:
            if not self.direct:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
        if self.direct:
            return
        if self._target.exists():
            self.part.chmod(stat.S_IMODE(self._target.stat().st_mode))
        self.part.replace(self._target)

    def keep(self) -> None:
        """Close it and leave it beside."""
        self._file.close()

    def discard(self) -> None:
        """Close it and take it away."""
        self._file.close()
        if not self.direct:
            self.part.unlink(missing_ok=True)


class Pipe:
    """What FFmpeg writes to where it can only append."""

    def __init__(self, file: PartFile) -> None:
        self._part = file

    def write(self, data: bytes) -> int:
        """Take bytes; never fails."""
        self._part.put(memoryview(data))
        return len(data)


class Sink(Pipe):
    """What FFmpeg writes to; it may go back to mend what it wrote."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the position of the next byte."""
        return self._part.seek(offset, whence)

    def tell(self) -> int:
        """The position of the next byte."""
        return self._part.tell()


def part_name(target: Path, number: int) -> Path:
    """Where a file lies until it is complete: `clip.partial.mp4`, `clip.partial-2.mp4`, ..."""
    end = ".partial" + (f"-{number}" if number > 1 else "") + target.suffix
    stem = target.stem
    while len(os.fsencode(stem + end)) > _LONGEST_NAME and stem:
        stem = stem[:-1]
    return target.with_name(stem + end)
