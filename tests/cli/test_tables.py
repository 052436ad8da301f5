"""Tables: 80 columns, numbers whole, headings and words wrap; rich colours what it finds."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

import pvnet
from pvnet.report import table
from pvnet.tables import glued, layout

RULE = re.compile(r"-+(  -+)*")


def tables(text: str) -> list[list[str]]:
    """The lines of every table: from its heading to the next empty line, or the end."""
    lines = text.splitlines()
    found = []
    for at in (i for i, line in enumerate(lines) if RULE.fullmatch(line)):
        end = next((i for i in range(at, len(lines)) if not lines[i].strip()), len(lines))
        found.append(lines[at - 1 : end])
    return found


@pytest.fixture
def terminal(monkeypatch):
    """A stdout that says it is a terminal of 60 columns."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_table_that_fits_is_left_alone():
    assert layout(["a", "long name"], [["x", "1"]], right=[False, True]) == (
        "a  long name\n-  ---------\nx          1"
    )


def test_headings_wrap_before_cells_and_numbers_never():
    text = layout(
        ["name of it", "number of things"],
        [["one two", "123456789"]],
        right=[False, True],
        width=18,
    )
    assert text == "name of  number of\nit          things\n" + (
        "-------  ---------\none two  123456789"
    )


def test_words_wrap_and_glued_ones_do_not():
    text = layout(["a", "b"], [["1", f"{glued('x y')} z"]], right=[True, False], width=6)
    assert text == "a  b\n-  ---\n1  x y\n   z"


def test_what_is_too_wide_is_turned_on_its_side():
    header = ["side", *(f"measure{i}" for i in range(9))]
    rows = [["left", *"123456789"], ["right", *"abcdefghi"]]
    text = layout(header, rows, right=[False] * 10)
    lines = text.splitlines()
    assert lines[0].split() == ["side", "left", "right"]
    assert lines[2].split() == ["measure0", "1", "a"]
    assert len(lines) == 11


def test_a_word_that_is_too_long_stays_whole():
    assert f"wrote {'x' * 100}".split()[1] in table(["what", "value"], [("wrote", "x" * 100)])


@pytest.mark.parametrize(
    "words",
    [
        ("demo", "--frames", "12", "--size", "32", "--no-files"),
        ("demo", "--frames", "6", "--size", "32", "--no-files", "--compare"),
        ("run", "synthetic", "--max-frames", "3"),
        ("bench", "--model", "par_densenet", "--width", "0.125", "--size", "32", "--ticks", "1",
         "--rounds", "1"),
    ],
)  # fmt: skip
def test_tables_of_commands_fit_80_columns(pvnet_cli, words):
    done = pvnet_cli(*words, "--quiet")
    assert done.code == 0, done.err
    found = tables(done.out)
    assert found
    assert [line for one in found for line in one if len(line) > 80] == []


@pytest.mark.parametrize("model", ["par_densenet", "par_inception"])
@pytest.mark.parametrize("stages", [1, 5, 10])
def test_the_table_of_stages_fits_80_columns(model, stages):
    graph = pvnet.models.build(model)
    text = graph.wire("predictive", stages=stages).describe()
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if RULE.fullmatch(line))
    assert [line for line in lines[1 : at + stages] if len(line) > 80] == []


def test_rich_makes_the_heading_stand_out_and_changes_no_word(terminal):
    pytest.importorskip("rich")
    rows = [("one", 1.5), ("[bold]", None)]
    text = table(["name", "value"], rows)
    assert "\x1b[1mname" in text
    bare = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert bare == layout(
        ["name", "value"], [["one", "1.50"], ["[bold]", "-"]], right=[False, True]
    )


def test_without_rich_a_terminal_gets_plain_text_of_its_width(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    text = table(["what", "value"], [("words", "many words " * 12)])
    assert "\x1b" not in text
    assert 50 < max(map(len, text.splitlines())) <= 60


@pytest.mark.parametrize("missing", [None, float("nan"), np.float64("nan")])
def test_what_was_not_measured_is_a_dash(missing):
    assert table(("row", "ms"), [("a", 1.5), ("b", missing)]).splitlines()[-1].split() == ["b", "-"]
