"""Checks the shape of the tree: file sizes, the one direction of imports, no paths of a machine.

Run by tools/lint.sh; exits with 1 and says what to do where a rule is broken.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # also where Python is told to leave it out
import import_order

MAX_LINES = 400
SOURCES = {".py", ".cpp", ".hpp", ".h", ".inl", ".cu", ".cuh", ".c"}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home/\w+|tmp/[a-z])\b")


def tracked() -> list[Path]:
    """Files that git knows."""
    out = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    return [Path(p) for p in out.splitlines() if Path(p).is_file()]


def check_file(path: Path) -> list[str]:
    """Complaints about one file."""
    problems = []
    text = path.read_text(errors="replace")
    lines = text.count("\n")
    if path.suffix in SOURCES and lines > MAX_LINES:
        problems.append(f"{path}: {lines} lines, at most {MAX_LINES}. Split it by noun.")
    if path.suffix in SOURCES | {".md", ".sh", ".toml", ".txt"} and path.name != "budget.py":
        problems += [
            f"{path}:{n}: a path of one machine. Make it relative."
            for n, line in enumerate(text.splitlines(), 1)
            if MACHINE_PATHS.search(line)
        ]
    return problems


def check_imports(paths: list[Path]) -> list[str]:
    """Complaints about the direction of imports, of all files together."""
    problems = []
    python = {p: p.read_text() for p in paths if p.parts[0] == "pvnet" and p.suffix == ".py"}
    for path, source in python.items():
        problems += import_order.check_python(path, source)
    for path in paths:
        if path.suffix == ".py":
            problems += import_order.check_outside(path, path.read_text())
        if path.parts[0] == "csrc" and path.suffix in SOURCES:
            problems += import_order.check_cpp(path, path.read_text(), Path())
    return problems + import_order.circles(python) + import_order.unused_exceptions(python)


def main() -> int:
    """Checks every tracked file."""
    paths = tracked()
    problems = [p for path in paths for p in check_file(path)] + check_imports(paths)
    for p in problems:
        print(p)
    print(f"budget: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
