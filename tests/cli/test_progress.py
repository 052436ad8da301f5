"""Progress on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from pvnet.cli._common import progress
from pvnet.cli._common.progress import Progress


class Stderr(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told to."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def work(clock, *, terminal: bool, monkeypatch, seconds: float, steps: int, done: int = 0, **how):
    err = Stderr(terminal=terminal)
    monkeypatch.setattr("sys.stderr", err)
    with Progress("train", total=100, **how) as bar:
        for step in range(done + 1, steps + 1):
            clock[0] += seconds
            if step == done + 1 and done:
                bar.begin_at(step)
            else:
                bar.step()
            bar.say(f"loss {step}")
    return err.getvalue()


def test_a_log_gets_a_line_a_minute(clock, monkeypatch):
    said = work(clock, terminal=False, monkeypatch=monkeypatch, seconds=5, steps=26)
    lines = said.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("] 12/100 5.0 s each, 7 min 20 s left  loss 11")
    assert lines[1].endswith("] 24/100 5.0 s each, 6 min 20 s left  loss 23")
    assert "\r" not in said


def test_what_is_quick_or_quiet_says_nothing_in_a_log(clock, monkeypatch):
    how = {"monkeypatch": monkeypatch, "terminal": False}
    assert work(clock, seconds=0.5, steps=100, **how) == ""
    assert work(clock, seconds=50, steps=100, quiet=True, **how) == ""
    how["terminal"] = True
    assert work(clock, seconds=50, steps=100, quiet=True, **how) == ""


def test_a_terminal_gets_a_bar_and_what_an_earlier_run_did_says_nothing_of_speed(
    clock, monkeypatch
):
    said = work(clock, terminal=True, monkeypatch=monkeypatch, seconds=0.25, steps=60, done=50)
    drawn = said.split("\r\x1b[K")
    assert drawn[-1] == ""  # nothing of it stays
    assert drawn[-2].endswith("] 60/100 4.0/s, 10 s left  loss 59")
