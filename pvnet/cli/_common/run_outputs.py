"""What becomes of the ticks of a run beside it: rows of results, pictures, a video.

One thread makes rows and draws, for both read the joints of a tick; another one encodes. So a tick
waits for them only when they are behind by more than a few frames.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from pvnet import nvtx
from pvnet.cli._common.annotated import AnnotatedVideo
from pvnet.cli._common.beside import Beside
from pvnet.cli._common.overlay import Overlay
from pvnet.cli._common.pairing import Pair, Pairing
from pvnet.cli._common.progress import note
from pvnet.cli._common.signals import uninterrupted
from pvnet.errors import UnsupportedError
from pvnet.results import ResultsWriter, expect_results, row_of
from pvnet.runtime import Plan, Tick
from pvnet.video import Source
from pvnet.viz.part import Picture

# Rows that the JSON document of a run holds; a camera may run for days.
MOST_ROWS = 10_000


class RunOutputs:
    """Takes the ticks of a run, in a with statement.

    An error leaves what was written beside, under partial names.

    Args:
        args: `out`, `overlay`, `save`, `json` and `quiet` of the command line.
        source: of the frames.
        plan: of the ticks.
        overlay: draws.

    Raises:
        PvnetError: what is asked for cannot be written, or not of this network.
    """

    def __init__(
        self, args: argparse.Namespace, source: Source, plan: Plan, overlay: Overlay
    ) -> None:
        self._overlay = overlay
        self._video = AnnotatedVideo(args.out, source, quiet=args.quiet)
        self._save = None if args.save is None else _writer(args.save, plan, source)
        self._pairing = Pairing(args.overlay)
        self.rows: list[dict[str, Any]] | None = [] if args.json and _has_results(plan) else None
        self.rows_left_out = 0
        self._draws = args.out is not None
        self._has_rows = self._save is not None or self.rows is not None
        self._failed: set[str] = set()  # what is no longer made
        self._error: BaseException | None = None  # the first, until it is told
        self._show: Beside[tuple[Tick | None, list[Pair]]] | None = None
        self._write: Beside[tuple[Picture, float]] | None = None
        if self._draws:
            self._write = Beside(lambda item: self._video.write(*item), "pvnet-encode")
        if self._draws or self._has_rows:
            self._show = Beside(self._shown, "pvnet-results")

    def add(self, tick: Tick) -> None:
        """Take a tick.

        Raises:
            PvnetError: what was taken before could not be drawn or written.
        """
        with uninterrupted():  # a signal must not lose what was made of the tick
            if self._show is not None:
                self._show.put((tick, list(self._pairing.add(tick)) if self._draws else []))
                self._tell()

    def _shown(self, item: tuple[Tick | None, list[Pair]]) -> None:
        tick, pairs = item
        if tick is not None and self._has_rows:
            self._make("rows", self._rowed, tick)
        for pair in pairs:
            self._make("pictures", self._drawn, pair)

    def _make(self, what: str, work: Callable[[Any], None], item: Tick | Pair) -> None:
        """Rows go on where pictures fail, and the other way round: what was taken is kept."""
        if what not in self._failed:
            try:
                work(item)
            except BaseException as error:
                self._failed.add(what)
                self._error = self._error or error

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _drawn(self, pair: Pair) -> None:
        with nvtx.io("draw", pair.frame.index):
            if pair.later or pair.tick is None:
                picture = self._overlay.draw(pair.frame, pair.tick, pair.later)
            else:
                picture = self._overlay.draw(pair.frame, pair.tick)
        assert self._write is not None
        self._write.put((picture, pair.frame.time_s))

    def _rowed(self, tick: Tick) -> None:
        row = row_of(tick)
        if self._save is not None:
            self._save.write_row(row)
        if self.rows is not None:
            if len(self.rows) < MOST_ROWS:
                self.rows.append(row.document())
            else:
                self.rows_left_out += 1

    def close(self, *, complete: bool) -> None:
        """Finish what was taken, and give the files their names.

        Args:
            complete: whether the source came to its end.
        """
        with uninterrupted():
            if self._show is not None:
                self._show.put((None, list(self._pairing.rest())))
            self._finish()
            self._video.close(complete=complete)
            if self._save is not None and self._save.rows:
                self._save.close()
            elif self._save is not None:  # without a row there is no file
                self._save.abandon()

    def _finish(self) -> None:
        """Every thread ends; the first error is raised."""
        threads = (self._show, self._write)  # in the order of their end
        _each([*(thread.finish for thread in threads if thread is not None), self._tell])

    def facts(self) -> dict[str, Any]:
        """What the report says."""
        saved = self._save is not None and self._save.rows > 0
        return {
            **self._video.facts(),
            "saved": str(self._save.path) if self._save is not None and saved else None,
            "saved_rows": self._save.rows if self._save is not None else 0,
            "results": self.rows,
            "results_left_out": self.rows_left_out,
        }

    def __enter__(self) -> RunOutputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            return
        with uninterrupted():
            with contextlib.suppress(BaseException):  # the first error is the one that is told
                self._finish()
            self._video.abandon()
            if self._save is not None and self._save.kept is None:
                kept = self._save.abandon()
                if kept is not None:
                    note(f"results are kept in {kept}")


def _writer(path: Path, plan: Plan, source: Source) -> ResultsWriter:
    return ResultsWriter(path, plan, source=source.name)


def _has_results(plan: Plan) -> bool:
    try:
        expect_results(plan)
    except UnsupportedError:
        return False
    return True


def _each(calls: Iterable[Callable[[], None]]) -> None:
    """Makes all calls; raises the first error."""
    first: BaseException | None = None
    for call in calls:
        try:
            call()
        except BaseException as error:
            first = first or error
    if first is not None:
        raise first
