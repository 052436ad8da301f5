"""Results as people and programs read them: plain-text tables, and what JSON takes."""

from __future__ import annotations

import importlib
import io
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from pvnet.tables import WIDTH, layout


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Align columns: text to the left, numbers to the right; 80 columns, or as the terminal has.

    Where stdout is a terminal and the package rich is installed, it is coloured.

    Args:
        header: column titles.
        rows: one sequence of cells per row; None prints as `-`, floats with 3 significant digits.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    right = [
        bool(rows) and all(row[i] is None or isinstance(row[i], int | float) for row in rows)
        for i in range(len(header))
    ]
    if not sys.stdout.isatty():
        return layout(header, cells, right=right)
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    return _coloured(layout(header, cells, right=right, width=width))


def _coloured(text: str) -> str:
    """The heading stands out, as far as the terminal can and rich is there; else as it is."""
    try:
        rich = importlib.import_module("rich.console")
    except ImportError:
        return text
    console = rich.Console(file=io.StringIO(), force_terminal=True)
    heading, rule, body = re.split(r"^(-[- ]*)$", text, maxsplit=1, flags=re.MULTILINE)
    for part, style in ((heading, "bold"), (rule, "dim"), (body, None)):
        console.print(part, style=style, end="", markup=False, highlight=False, soft_wrap=True)
    return str(console.file.getvalue())


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value == 0:
            return "0"
        magnitude = abs(value)
        if magnitude >= 100:
            return f"{value:.0f}"
        return f"{value:.1f}" if magnitude >= 10 else f"{value:.2f}"
    return str(value)


def plain(value: Any) -> Any:
    """Turn numpy scalars and arrays, tuples and keys into what json.dumps takes.

    NaN and infinities become None: JSON has no words for them.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
