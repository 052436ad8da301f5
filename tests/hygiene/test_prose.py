"""Prose: sentences of pages, docstrings and headers are short; what measures finds long ones."""

from __future__ import annotations

from statistics import median

import pytest
from docstrings import as_page, docstrings
from pages import ROOT, files
from sentences import Sentence, sentences

MEDIAN = 16
MOST = 32
MEASURED = [
    p.relative_to(ROOT).as_posix() for p in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
]
# A changelog has entries, not sentences.
PAGES = [p.relative_to(ROOT).as_posix() for p in files(".md") if p.name != "CHANGELOG.md"]
HEADERS = [p.relative_to(ROOT).as_posix() for p in files(".hpp", ".h", ".inl")]
MODULES = [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "pvnet").rglob("*.py"))]


def words(count: int) -> str:
    """That many words, without an end."""
    return " ".join(["word"] * count)


def too_long(page: str, text: str) -> list[str]:
    """What a writer must shorten, as `file:line: N words: the sentence`."""
    return [
        f"{page}:{s.line}: {s.words} words: {s.text}" for s in sentences(text) if s.words > MOST
    ]


@pytest.mark.parametrize("page", PAGES)
def test_no_sentence_is_long(page):
    found = too_long(page, (ROOT / page).read_text())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", sorted(MEASURED))
def test_most_sentences_of_a_page_are_short(page):
    lengths = [s.words for s in sentences((ROOT / page).read_text())]
    assert median(lengths) <= MEDIAN


def documented(source: str) -> list[Sentence]:
    """The sentences of every public docstring of a Python file, by their lines in the file."""
    return [
        Sentence(line + s.line - 1, s.text, s.words)
        for line, text in docstrings(source)
        for s in sentences(as_page(text))
    ]


@pytest.mark.parametrize("module", MODULES)
def test_sentences_of_docstrings_are_short(module):
    found = documented((ROOT / module).read_text())
    long = [f"{module}:{s.line}: {s.words} words: {s.text}" for s in found if s.words > MOST]
    assert not long, "\n".join(long)
    assert not found or median(s.words for s in found) <= MEDIAN


def head_of(source: str) -> str:
    """The comment on top of a C++ file as a page, with as many lines."""
    lines = source.splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))
    comment = [line.removeprefix("//").removeprefix(" ") for line in lines[:end]]
    return "\n".join("" if line.startswith("SPDX") else line for line in comment)


@pytest.mark.parametrize("header", HEADERS)
def test_sentences_on_top_of_headers_are_short(header):
    found = too_long(header, head_of((ROOT / header).read_text()))
    assert not found, "\n".join(found)


def test_a_long_sentence_on_top_of_a_header_is_found_with_its_line():
    text = f"// SPDX-License-Identifier: a b c\n// Short one here. {words(20)}\n// {words(20)}.\n"
    (found,) = too_long("a.hpp", head_of(f"{text}#pragma once\n// {words(40)}.\n"))
    assert found.startswith("a.hpp:2: 40 words")


def test_what_is_private_or_no_docstring_is_not_measured():
    long = f'"""{words(40)}."""'
    text = f"def _f():\n    {long}\n\nclass _C:\n    def f(self):\n        {long}\n\nx = {long}\n"
    assert documented(text) == []


@pytest.mark.parametrize(
    "text",
    [
        '"""{}."""\n',
        'class C:\n    """One.\n\n    {}.\n    """\n',
        'class C:\n    def f(self):\n        """{}."""\n',
        'class C:\n    def __len__(self):\n        """{}."""\n',
        'async def f():\n    """{}."""\n',
        'def f():\n    """One.\n\n    Args:\n        a: {}.\n    """\n',
        'def f():\n    """One.\n\n    Returns:\n        {}.\n    """\n',
    ],
    ids=["module", "class", "method", "dunder", "async", "argument", "result"],
)
def test_a_long_sentence_of_a_docstring_is_found_with_its_line(text):
    (found,) = [s for s in documented(text.format(words(40))) if s.words > MOST]
    assert found.words == 40
    assert words(40) in text.format(words(40)).splitlines()[found.line - 1]


def test_arguments_are_sentences_of_their_own_and_shapes_are_one_word():
    text = f"""def f(a, b):
    \"\"\"One thing here.

    Args:
        a: [b, c, t, h, w] {words(20)},
            {words(4)}
        b: {words(20)}

    Returns:
        {words(10)}
        {words(10)}

    Raises:
        Error: {words(7)}
    \"\"\"
"""
    assert [s.words for s in documented(text)] == [3, 25, 20, 20, 7]


LONG = {
    "a paragraph": words(40) + ".",
    "no end": words(40),
    "wrapped": "\n".join([words(10)] * 4) + ".",
    "a list item": f"* {words(40)}.",
    "a wrapped list item": f"* {words(20)}\n  {words(20)}.",
    "a numbered item": f"1. {words(20)}\n   {words(20)}.",
    "a nested item": f"* {words(3)}\n  * {words(20)}\n    {words(20)}.",
    "a second paragraph of an item": f"* {words(5)}.\n\n  {words(20)}\n  {words(20)}.",
    "an indented paragraph of an item": f"1. {words(5)}.\n\n    {words(40)}.",
    "a quotation": f"> {words(20)}\n> {words(20)}.",
    "an abbreviation": f"{words(20)}, e.g. {words(20)}.",
    "an abbreviation in brackets": f"{words(20)} (i.e. {words(20)}).",
    "names of authors": f"{words(20)} of Jhuang et al. {words(20)}.",
    "a decimal": f"{words(20)} 0.5 {words(20)}.",
    "a file name": f"{words(20)} a.py {words(20)}.",
    "an ellipsis": f"{words(20)} 0, 1, ... {words(20)}.",
    "code with a period": f"{words(20)} `a. B` {words(20)}.",
    "a link": f"{words(20)} [{words(10)}](a.md) {words(10)}.",
    "a colon": f"{words(20)}: {words(20)}.",
    "a semicolon": f"{words(20)}; {words(20)}.",
    "bold": f"**{words(20)}** {words(20)}.",
    "a dash": " \u2014 ".join([words(1)] * 40) + ".",
    "after a table": f"| a |\n|---|\n{words(40)}.",
    "after code": f"```\na\n```\n{words(40)}.",
    "after a heading": f"# A\n{words(40)}.",
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_sentence_is_found(text):
    assert len(too_long("page.md", text + "\n")) == 1


SHORT = {
    "two sentences": f"{words(20)}. {words(20)}.",
    "two that end in code": f"{words(20)} `code`. `code` {words(20)}.",
    "two that end in brackets": f"({words(20)}.) {words(20)}.",
    "two that end in bold": f"**{words(20)}.** {words(20)}.",
    "two paragraphs": f"{words(20)}\n\n{words(20)}",
    "two items": f"* {words(20)}\n* {words(20)}",
    "an item that a paragraph introduces": f"{words(20)}:\n* {words(20)}",
    "a code block": f"```\n{words(40)}.\n```",
    "a fenced block with another fence in it": f"````\n```\n{words(40)}\n```\n````",
    "an indented block": f"{words(5)}:\n\n    {words(40)}.",
    "an indented block of several lines": f"{words(5)}:\n\n" + f"    {words(20)}\n" * 3,
    "inline code": f"{words(20)} `{words(40)}`.",
    "a table": f"| {words(40)} |\n|---|\n| {words(40)} |",
    "a heading": f"## {words(40)}",
    "a comment": f"<!-- no-run: {words(40)} -->",
    "a picture": f"![{words(40)}](a.png)",
    "the address of a link": f"[{words(20)}](a.md#{'-'.join(['word'] * 40)}).",
    "signs": f"{words(20)} {'= ' * 20}.",
}


@pytest.mark.parametrize("text", SHORT.values(), ids=SHORT)
def test_what_is_short_or_no_sentence_passes(text):
    assert too_long("page.md", text + "\n") == []


def test_a_complaint_names_file_line_and_sentence():
    text = f"# A\n\nShort one here. Begins on this line\n{words(40)}.\n"
    (found,) = too_long("docs/a.md", text)
    assert found == f"docs/a.md:3: 44 words: Begins on this line {words(40)}."


def test_words_are_counted():
    text = "At 0.5 `a b c` and [two words](x.md), e.g. a - b.\n"
    assert [s.words for s in sentences(text)] == [9]
    assert [s.words for s in sentences("One two three. Four.\n")] == [3]  # a label is none
