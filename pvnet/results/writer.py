"""Results in a file, one row a tick: JSON lines, CSV, Parquet, or key points of COCO."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from pvnet.distribution import load
from pvnet.errors import FileError, InvalidArgumentError, StateError, UnsupportedError
from pvnet.files import reason
from pvnet.results.coco import Document
from pvnet.results.rows import Row, expect_results, row_of
from pvnet.runtime import Plan, Tick
from pvnet.video.part_file import PartFile

COCO = ".coco.json"
ENDS = (".jsonl", ".csv", ".parquet", COCO)
_GROUP = 512  # rows of a group of Parquet


class _Table(Protocol):
    """How rows become bytes."""

    def add(self, row: Row) -> bytes:
        """A row more: what can be written of it already."""
        ...

    def rest(self) -> bytes:
        """What is missing at the end."""
        ...


class ResultsWriter:
    """Writes a row for every tick; the name of the file says how.

    While it is written the file lies beside as `NAME.partial.END`, and `close` gives it its name.
    An existing file stays until then. JSON lines and CSV grow row by row: of a killed program they
    keep all rows. Parquet and COCO are readable once they are closed, or after an error.

    Args:
        path: ends in `.jsonl`, `.csv`, `.parquet` (needs pyarrow) or `.coco.json`.
        plan: the network of the ticks.
        source: name of the video, for COCO.

    Raises:
        InvalidArgumentError: another end.
        UnsupportedError: the network gives no such results.
        MissingPackageError: pyarrow is not installed.
        FileError: the file cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], plan: Plan, *, source: str = "video"
    ) -> None:
        self._file: PartFile | None = None
        self.path = Path(path)
        self.rows = 0
        self.kept: Path | None = None
        end = end_of(path)
        expect_results(plan)
        if end == COCO and not plan.meaning.has_joints:
            raise UnsupportedError(
                f"[results] COCO has key points only: got a network for {plan.meaning.task}, "
                "expected one for joints. Write a .jsonl or a .csv."
            )
        self._table = _table(end, plan.meaning.task, source)
        self._file = PartFile(path, where="results")

    def write(self, tick: Tick) -> None:
        """Append the row of a tick.

        Raises:
            StateError: after `close` or an error.
            FileError: the disk is full or fails; the message says where what was written is.
        """
        self.write_row(row_of(tick))

    def write_row(self, row: Row) -> None:
        """As `write`, of a row that is there."""
        if self._file is None:
            raise StateError(
                "[results] write: got a closed file, expected an open one. Make a new writer."
            )
        self._put(self._table.add(row))
        self.rows += 1

    def close(self) -> None:
        """Finish the file and give it its name; may be called twice.

        Raises:
            FileError: as `write`.
        """
        if self._file is None:
            return
        self._put(self._table.rest())
        file, self._file = self._file, None
        try:
            file.commit()
        except OSError as error:
            self.kept = file.part
            raise self._failure(error) from error

    def abandon(self) -> Path | None:
        """Finish what was written, and leave it beside under its partial name.

        Returns:
            Where it lies; None if there is no row.
        """
        if self._file is None:
            return self.kept
        file, self._file = self._file, None
        if file.error is None:
            file.put(memoryview(self._table.rest()))
        if self.rows:
            file.keep()
            self.kept = None if file.direct else file.part
        else:
            file.discard()
        return self.kept

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        file = self._file
        file.put(memoryview(data))
        if file.error is not None:
            error = file.error
            self.abandon()
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> FileError:
        kept = "" if self.kept is None else f" What was written is kept in {str(self.kept)!r}."
        return FileError(
            f"[results] cannot go on writing {str(self.path)!r}: got {reason(error)} after "
            f"{self.rows} rows, expected a disk with room that works.{kept} Make room, or choose "
            "another folder."
        )

    def __enter__(self) -> ResultsWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def end_of(path: str | os.PathLike[str]) -> str:
    """Which of `ENDS` a file's name has.

    Raises:
        InvalidArgumentError: none of them.
    """
    name = Path(path).name.lower()
    for end in ENDS:
        if name.endswith(end) and name != end:
            return end
    raise InvalidArgumentError(
        f"[results] format of {os.fspath(path)!r}: got the end {Path(path).suffix!r}, expected one "
        f"of {', '.join(ENDS)}. Choose a name that ends so."
    )


def _table(end: str, task: str, source: str) -> _Table:
    if end == ".jsonl":
        return _JsonLines()
    if end == ".csv":
        return _Csv(task)
    return _Parquet(task) if end == ".parquet" else _Coco(source)


class _JsonLines:
    def add(self, row: Row) -> bytes:
        return json.dumps(row.document()).encode() + b"\n"

    def rest(self) -> bytes:
        return b""


class _Csv:
    def __init__(self, task: str) -> None:
        self._task = task
        self._begun = False

    def add(self, row: Row) -> bytes:
        cells = row.flat(self._task)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(cells), lineterminator="\n")
        if not self._begun:
            writer.writeheader()
            self._begun = True
        writer.writerow(cells)
        return text.getvalue().encode()

    def rest(self) -> bytes:
        return b""


class _Parquet:
    """Groups of rows; the end of the file says where they lie."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._arrow = load("pyarrow", "results")
        self._parquet = load("pyarrow.parquet", "results")
        self._rows: list[dict[str, Any]] = []
        self._bytes = io.BytesIO()
        self._writer: Any = None
        self._told = 0

    def add(self, row: Row) -> bytes:
        self._rows.append(row.flat(self._task))
        return self._group() if len(self._rows) >= _GROUP else b""

    def rest(self) -> bytes:
        if self._rows:
            self._group_out()
        if self._writer is not None:
            self._writer.close()
        return self._new()

    def _group(self) -> bytes:
        self._group_out()
        return self._new()

    def _group_out(self) -> None:
        if self._writer is None:
            schema = self._arrow.schema([(k, self._type(k)) for k in self._rows[0]])
            self._sink = self._arrow.PythonFile(_Kept(self._bytes), mode="w")
            self._writer = self._parquet.ParquetWriter(self._sink, schema)
        table = self._arrow.Table.from_pylist(self._rows, schema=self._writer.schema)
        self._writer.write_table(table)
        self._rows = []

    def _type(self, column: str) -> Any:
        if column == "valid":
            return self._arrow.bool_()
        if column in ("tick", "frame", "width", "height") or column.endswith("_ticks"):
            return self._arrow.int64()
        if column.startswith("action_") and not column.endswith("_probability"):
            return self._arrow.string()
        return self._arrow.float64()

    def _new(self) -> bytes:
        """Bytes since the last time; memory does not grow with the file."""
        data = self._bytes.getvalue()
        self._bytes.seek(0)
        self._bytes.truncate()
        return data


class _Kept(io.RawIOBase):
    """A sink that is not closed with its writer, and knows how far it is."""

    def __init__(self, inner: io.BytesIO) -> None:
        self._inner, self._at = inner, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        n = self._inner.write(data)
        self._at += n
        return n


class _Coco:
    def __init__(self, source: str) -> None:
        self._document = Document(source)

    def add(self, row: Row) -> bytes:
        self._document.add(row)
        return b""

    def rest(self) -> bytes:
        return self._document.text().encode()
