"""Where the tree is, and which files of it the checks look at."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"build", "dist", "venv", "node_modules", "_skbuild"}


def files(*suffixes: str) -> list[Path]:
    """Files of the tree with these endings; no build folders, no hidden folders."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        found += [Path(folder) / n for n in sorted(names) if n.endswith(suffixes)]
    return found
