"""The sentences of a page of Markdown, with the line each begins on and the words it has.

Left out: headings, tables, code blocks, pictures, comments. An inline code span is one word. A list
item ends the sentence before it, and a sentence ends at ., ! or ? before white space, but for
abbreviations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Words that end in a period and no sentence.
ABBREVIATIONS = {"e.g.", "i.e.", "al.", "cf.", "vs.", "approx.", "fig.", "no.", "resp.", "dr."}
# Shorter ones are labels ("Apache-2.0.", "**Kinetics.**") and tell nothing of the prose.
FEWEST = 3

FENCE = re.compile(r"\s*(```+|~~~+)")
ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
SKIPPED = re.compile(r"\s*(#{1,6} |\||<!--|(?:[-*_] ?){3,}$)")
CODE = re.compile(r"(`+)(?:(?!\1).)+?\1", re.DOTALL)
IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
END = re.compile(r"[.!?][\"')\]*_]*(?=\s|$)")


@dataclass(frozen=True)
class Sentence:
    """One sentence: the line it begins on, from 1, its text on one line, and its words."""

    line: int
    text: str
    words: int


def sentences(page: str) -> list[Sentence]:
    """Every sentence of the page, in order."""
    found = []
    for line, block in _blocks(page):
        found += _split(line, block)
    return found


def _blocks(page: str) -> Iterator[tuple[int, str]]:
    """Paragraphs and list items, as (line of the first character, text with its line ends)."""
    first, lines = 0, []
    fence = ""
    in_list = False
    for number, line in enumerate(page.splitlines(), start=1):
        mark = FENCE.match(line)
        item = ITEM.match(line)
        # Four spaces are code, unless they go on with a paragraph or a list.
        indented = line.startswith(("    ", "\t")) and not lines and not in_list
        ends = bool(fence or mark or indented or SKIPPED.match(line) or item or not line.strip())
        if ends and lines:
            yield first, "\n".join(lines)
            lines = []
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif mark:
            fence = mark[1]
        elif item and not SKIPPED.match(line):
            first, lines, in_list = number, [line[item.end() :]], True
        elif not ends:
            in_list = in_list and (bool(lines) or line.startswith(" "))
            first = first if lines else number
            lines.append(line.lstrip(" >"))
    if lines:
        yield first, "\n".join(lines)


def _split(first: int, block: str) -> Iterator[Sentence]:
    # Spans become words that keep their lines, so that a sentence knows where it begins.
    block = CODE.sub(lambda m: "code" + "\n" * m[0].count("\n"), IMAGE.sub("", block))
    block = LINK.sub(r"\1", block)
    begin = 0
    for stop in [*(m.end() for m in END.finditer(block) if _ends(block, m)), len(block)]:
        raw = block[begin:stop]
        line = first + block.count("\n", 0, begin + len(raw) - len(raw.lstrip()))
        text = " ".join(raw.split())
        words = sum(any(c.isalnum() for c in w) for w in re.split(r"[\s\u2013\u2014]+", text))
        begin = stop
        if words >= FEWEST:
            yield Sentence(line, text, words)


def _ends(block: str, match: re.Match[str]) -> bool:
    word = block[: match.end()].split()[-1].lower().strip("()[]*_\"'")
    rest = block[match.end() :].lstrip()
    # An ellipsis goes on unless a capital follows.
    if word.endswith("...") or word == "..":
        return not rest or rest[0].isupper()
    return word not in ABBREVIATIONS
