"""Programs outside the package import what the package has: most are run by hand only."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bench", "examples", "tools")
PROGRAMS = sorted(p for folder in FOLDERS for p in ROOT.glob(f"{folder}/**/*.py"))


def missing(source: str) -> list[str]:
    """Names that a program takes from pvnet and that are not there."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "pvnet":
            continue
        try:
            module = importlib.import_module(node.module)
        except ImportError:
            found.append(node.module)
            continue
        for alias in node.names:
            if not hasattr(module, alias.name):
                try:
                    importlib.import_module(f"{node.module}.{alias.name}")
                except ImportError:
                    found.append(f"{node.module}.{alias.name}")
    return found


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_program_imports_is_there(path):
    assert missing(path.read_text()) == []


def test_a_name_that_has_moved_is_found():
    assert missing("from pvnet.viz import nothing_like_it") == ["pvnet.viz.nothing_like_it"]
    assert missing("from pvnet.gone import x") == ["pvnet.gone"]
    assert missing("from pvnet import models\nfrom pvnet.models import MEAN") == []
