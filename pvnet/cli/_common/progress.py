"""Progress on stderr: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

_BAR_CELLS = 28
_REDRAW_EVERY_S = 0.1
_LINE_EVERY_S = 60.0


class Progress:
    """`with Progress("demo", total=120) as bar: bar.step()`.

    Where stderr is no terminal, what takes less than a minute says nothing.

    Args:
        title: what is being done.
        total: number of steps; None where the end is not known (a camera).
        quiet: say nothing.
    """

    def __init__(self, title: str, *, total: int | None = None, quiet: bool = False) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._before = 0
        self._words = ""
        self._begin = time.perf_counter()
        self._drawn = self._begin
        self._shown = not quiet and sys.stderr.isatty()
        self._listed = not quiet and not self._shown

    def begin_at(self, done: int) -> None:
        """The first `done` steps were done by an earlier run and say nothing about speed."""
        self._done = self._before = done
        self._begin = time.perf_counter()

    def say(self, words: str) -> None:
        """Words at the end of the line, from the next drawing on."""
        self._words = words

    def step(self, n: int = 1) -> None:
        """Count `n` more steps."""
        self._done += n
        now = time.perf_counter()
        if self._shown and now - self._drawn >= _REDRAW_EVERY_S:
            self._drawn = now
            sys.stderr.write("\r\x1b[K" + self._text(now))
            sys.stderr.flush()
        elif self._listed and now - self._drawn >= _LINE_EVERY_S:
            self._drawn = now
            note(self._text(now))

    def _text(self, now: float) -> str:
        rate = (self._done - self._before) / max(now - self._begin, 1e-9)
        if self._total:
            full = min(_BAR_CELLS, _BAR_CELLS * self._done // self._total)
            bar = "#" * full + "." * (_BAR_CELLS - full)
            text = f"{self._title} [{bar}] {self._done}/{self._total} {_speed(rate)}"
            if rate > 0:
                text += f", {_time_left((self._total - self._done) / rate)} left"
        else:
            text = f"{self._title} {self._done} {_speed(rate)}"
        return text + (f"  {self._words}" if self._words else "")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _speed(rate: float) -> str:
    return f"{rate:.1f}/s" if rate >= 1 or rate <= 0 else f"{1 / rate:.1f} s each"


def _time_left(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def note(text: str) -> None:
    """Tell people something on stderr; stdout belongs to the result."""
    print(text, file=sys.stderr)


def left_out(about: Mapping[str, Any], where: str) -> None:
    """Tell how many videos a data set has left out, if any.

    Args:
        about: its `describe()`.
        where: which ones are listed.
    """
    videos = about.get("left_out", {})
    if videos.get("total"):
        reasons = ", ".join(f"{n} {why}" for why, n in videos["counts"].items())
        note(f"{videos['total']} videos of {about.get('name')} left out ({reasons}); {where}")
