"""The docstrings of a Python file as pages of Markdown, line by line, for `sentences`.

Entries of Args, Attributes, Returns and Raises become list items without their names. A shape in
brackets is one word.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises):$")
ENTRY = re.compile(r" {4}[*\w.]+(?:, [*\w.]+)*: ?")
SHAPE = re.compile(r"\[[^\[\]]*\]")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line, from 1, and text of the docstring of the module and of everything public in it."""
    waiting: list[Documented] = [ast.parse(source)]
    while waiting:
        node = waiting.pop(0)
        text = ast.get_docstring(node)
        if text is not None:
            yield node.body[0].lineno, text
        if isinstance(node, ast.Module | ast.ClassDef):
            waiting += [n for n in node.body if isinstance(n, Documented) and _is_public(n)]


def _is_public(node: Documented) -> bool:
    name = getattr(node, "name", "")
    return not name.startswith("_") or name.endswith("__")


def as_page(docstring: str) -> str:
    """The docstring in Markdown, with as many lines."""
    lines = []
    section = ""
    for line in docstring.splitlines():
        heading = SECTION.match(line)
        if line.strip() and not line.startswith(" "):
            section = heading[1] if heading else ""
        if heading:
            line = ""
        elif section:
            begun = bool(lines and lines[-1])
            line = _in_section(line, named=section not in ("Returns", "Yields"), begun=begun)
        lines.append(SHAPE.sub("shape", line))
    return "\n".join(lines)


def _in_section(line: str, *, named: bool, begun: bool) -> str:
    """A line of a section: the begin of an item, or more of it."""
    text = line.strip()
    if not text:
        return ""
    entry = ENTRY.match(line) if named else None
    if entry:
        return f"* {line[entry.end() :]}"
    return f"  {text}" if begun else f"* {text}"
