"""Plain-text tables that fit a width: headings wrap first, then words of long cells."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

WIDTH = 80
_GAP = "  "
_GLUE = "\u00a0"  # the no-break space


def glued(words: str) -> str:
    """Words that stay on one line."""
    return words.replace(" ", _GLUE)


def layout(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[bool],
    width: int = WIDTH,
) -> str:
    """Aligned columns under a rule, turned on their side where only that fits.

    Args:
        header: column titles.
        rows: as many cells each.
        right: which columns hold numbers: to the right, never wrapped.
        width: of the longest line; a word that is longer stays whole, and so are `glued` ones.
    """
    widths = _widths(header, rows, right, width)
    if _total(widths) > width:
        turned = [[header[i], *(row[i] for row in rows)] for i in range(1, len(header))]
        head = [header[0], *(row[0] for row in rows)]
        plain = [False] * len(head)
        narrow = _widths(head, turned, plain, width)
        if _total(narrow) < _total(widths):
            header, rows, right, widths = head, turned, plain, narrow
    lines = _lines(header, widths, right)
    lines.append(_GAP.join("-" * w for w in widths))
    for row in rows:
        lines += _lines(row, widths, right)
    return "\n".join(lines)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _widths(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], width: int
) -> list[int]:
    """As wide as the cells need, less where the table is too wide and words can wrap."""
    columns = [[row[i] for row in rows] for i in range(len(header))]
    heads = [_word(title) for title in header]
    cells = [max(map(len, column), default=0) for column in columns]
    words = [
        cell if number else max(map(_word, column), default=0)
        for column, cell, number in zip(columns, cells, right, strict=True)
    ]
    widths = [max(len(title), cell) for title, cell in zip(header, cells, strict=True)]
    for least in (
        [max(pair) for pair in zip(heads, cells, strict=True)],
        [max(pair) for pair in zip(heads, words, strict=True)],
    ):
        while _total(widths) > width:
            loose = [i for i, low in enumerate(least) if widths[i] > low]
            if not loose:
                break
            widths[max(loose, key=lambda i: widths[i])] -= 1
    return widths


def _word(text: str) -> int:
    """Length of the longest word."""
    return max(map(len, text.split(" ")))


def _lines(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """One row of the table, as many lines as its tallest cell."""
    parts = [
        [cell] if len(cell) <= width else textwrap.wrap(cell, width, break_long_words=False)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return [
        _GAP.join(
            part.rjust(width) if flush else part.ljust(width)
            for part, width, flush in zip(line, widths, right, strict=True)
        )
        .rstrip()
        .replace(_GLUE, " ")
        for line in zip_longest(*parts, fillvalue="")
    ]
