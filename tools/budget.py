"""Checks the shape of the tree: file sizes, the one direction of imports, no paths of a machine.

Run by tools/lint.sh; exits with 1 and says what to do where a rule is broken.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

MAX_LINES = 400
SOURCES = {".py", ".cpp", ".hpp", ".h", ".inl", ".cu", ".cuh", ".c"}
# A package may import itself and what stands at its rank or below.
RANKS = {
    "errors": 0,
    "files": 0,
    "graph": 1,
    "runtime": 2,
    "video": 1,
    "viz": 1,
    "ops": 3,
    "nn": 4,
    "models": 5,
    "data": 6,
    "train": 6,
    "cli": 7,
}
TORCH_FREE = {"errors", "graph", "runtime", "video", "viz", "cli"}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home/\w+|tmp/[a-z])\b")


def tracked() -> list[Path]:
    """Files that git knows."""
    out = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    return [Path(p) for p in out.splitlines() if Path(p).is_file()]


def imports(path: Path) -> list[tuple[str, bool, int]]:
    """(module, at the top level of the file, line) of every import."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        top = node in tree.body
        if isinstance(node, ast.Import):
            found += [(a.name, top, node.lineno) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.append((node.module, top, node.lineno))
    return found


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
    parts = path.with_suffix("").parts
    if path.suffix == ".py" and parts[0] == "pvnet" and len(parts) > 1 and parts[1] in RANKS:
        rank = RANKS[parts[1]]
        for module, top, line in imports(path):
            names = module.split(".")
            if names[0] == "pvnet" and len(names) > 1 and RANKS.get(names[1], 0) > rank and top:
                problems.append(f"{path}:{line}: imports upwards ({module}). Move it or invert it.")
            if names[0] == "torch" and parts[1] in TORCH_FREE:
                problems.append(f"{path}:{line}: imports torch, which this package does without.")
    return problems


def main() -> int:
    """Checks every tracked file."""
    problems = [p for path in tracked() for p in check_file(path)]
    for p in problems:
        print(p)
    print(f"budget: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
