"""Messages: the cure at the end is a sentence, "Call reset.", not "Do call reset."."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, files

# "Do not" and "Do it" are English; "Do pass" and the like are not.
STILTED = re.compile(r"\bDo (?!not\b|it\b|so\b)[a-z]+")
C_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"(?:\s*"((?:[^"\\\n]|\\.)*)")*')
C_PIECE = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def python_strings(source: str) -> Iterator[str]:
    """Every string of a file but docstrings; what an f-string fills in is a star."""
    tree = ast.parse(source)
    told = set()  # docstrings, and the pieces of f-strings that were given as a whole
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            told.add(id(body[0].value))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            told |= {id(part) for part in node.values}
            yield "".join(p.value if isinstance(p, ast.Constant) else "*" for p in node.values)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
        ):
            yield node.value


def cpp_strings(source: str) -> Iterator[str]:
    """Every string of a file, neighbours joined as the compiler does."""
    for match in C_STRING.finditer(source):
        yield "".join(C_PIECE.findall(match[0]))


def stilted(path: Path, source: str) -> list[str]:
    strings = python_strings(source) if path.suffix == ".py" else cpp_strings(source)
    return [match[0] for text in strings for match in STILTED.finditer(text)]


def test_cures_are_sentences():
    sources = [
        path
        for path in files(".py", ".cpp", ".hpp", ".h", ".inl")
        if path.relative_to(ROOT).parts[0] in ("pvnet", "csrc")
    ]
    assert len(sources) > 200
    found = {p.relative_to(ROOT).as_posix(): stilted(p, p.read_text()) for p in sources}
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("a.py", 'raise E("[a] b: got c. Do call d.")', ["Do call"]),
        ("a.py", 'raise E(f"[a] b: got {c}. " "Do "\n f"pass {d}=.")', ["Do pass"]),
        ("a.py", 'def f():\n    """Do every item."""\n    return "Do not. Do it."', []),
        ("a.cpp", 'return {Code::x, "[a] b: got " + c + ". Do "\n  "use d."};', ["Do use"]),
        ("a.cpp", '// Do items\nreturn {Code::x, "[a] \\"b\\". Use d."};', []),
    ],
)
def test_a_stilted_cure_is_found(name, source, words):
    assert stilted(Path(name), source) == words
