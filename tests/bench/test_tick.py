"""bench/tick.py: the program in C is built against the package, and right."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler"
)
def test_a_tick_is_timed_from_python_and_from_c() -> None:
    import tick

    assert tick.from_python(tick.network(), rounds=1, ticks=2) > 0
    assert (tick.from_c(tick.network(), rounds=1, ticks=2) or 0) > 0


def test_without_a_compiler_the_program_in_c_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import tick

    monkeypatch.setenv("CC", "no-such-compiler")
    assert tick.from_c(tick.network(), rounds=1, ticks=2) is None
