"""The one direction of imports, in Python and in C++: a room uses itself and the rooms before it.

Checked wherever an import can stand: at the top of a file, inside a function, under TYPE_CHECKING,
relative, by `importlib.import_module` with a literal; in C++ every `#include` of a file of csrc/.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

# Rooms of one row do not know each other.
PYTHON_ROWS = (
    ("errors", "_core", "__version__"),
    ("distribution", "tables", "nvtx"),
    ("files", "report"),
    ("graph", "video"),
    ("decode",),
    ("viz", "runtime"),
    ("ops", "workshop", "results", "onnx_import"),
    ("nn",),
    ("models", "cluster"),
    ("data", "catch"),
    ("evaluate",),
    ("label", "train"),
    ("cli",),
)
# Folders of a room, in the same way; files beside them belong to none.
FOLDER_ROWS = {
    "data": (("files",), ("sets",), ("collage",), ("batches",)),
    "cli": (("_common",), ("_demo", "_bench"), ("_parallelise",)),
}
# The one list of who may import torch: folders below pvnet/, and nobody else.
TORCH = ("ops", "nn", "data/batches", "train")
# Imports against the direction, inside a function only: (file, room) -> why it must be.
LAZY: dict[tuple[str, str], str] = {}
# Folders outside pvnet/ -> the rooms that they do without.
OUTSIDE = {"bench": {"cli"}}
CPP_ROWS = (
    ("graph",),
    ("host", "picture"),
    ("model",),
    ("backends",),
    ("plan",),
    ("runtime",),
    ("capi", "python"),
)
# A public header belongs to the room that implements it.
PUBLIC_HEADERS = {
    "pvnet/pvnet.h": "capi",
    "pvnet/pvnet.hpp": "capi",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)


def _ranks(rows: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {room: rank for rank, row in enumerate(rows) for room in row}


PYTHON_RANK = _ranks(PYTHON_ROWS)
FOLDER_RANK = {room: _ranks(rows) for room, rows in FOLDER_ROWS.items()}
CPP_RANK = _ranks(CPP_ROWS)


def may_use(rank: dict[str, int], room: str, other: str) -> bool:
    """Whether files of `room` may use those of `other`."""
    return room == other or rank[other] < rank[room]


def _inside(path: Path, names: list[str]) -> bool:
    """Whether an import from one folder of a room into another one goes downwards."""
    if len(path.parts) < 4 or len(names) < 3 or names[1] != path.parts[1]:
        return True
    rank, folder, other = FOLDER_RANK.get(names[1], {}), path.parts[2], names[2]
    return folder not in rank or other not in rank or may_use(rank, folder, other)


def may_use_torch(path: Path) -> bool:
    """Whether a file below pvnet/ is in a folder of TORCH."""
    return any(Path("pvnet", folder) in path.parents for folder in TORCH)


def _literal(call: ast.Call) -> str | None:
    """The module that `import_module("...")` or `__import__("...")` names."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in ("import_module", "__import__") or not call.args:
        return None
    first = call.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return None


def python_imports(path: Path, source: str) -> list[tuple[str, int, bool]]:
    """(module, line, inside a function) of every import; `from pvnet import x` is pvnet.x."""
    tree = ast.parse(source)
    deferred = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    found: list[tuple[str, int, bool]] = []
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.with_suffix("").parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            has_folders = base in ("pvnet", *(f"pvnet.{room}" for room in FOLDER_ROWS))
            modules = [f"{base}.{alias.name}" for alias in node.names] if has_folders else [base]
        elif isinstance(node, ast.Call):
            literal = _literal(node)
            modules = [literal] if literal else []
        found += [(module, node.lineno, id(node) in deferred) for module in modules]
    return found


def check_python(path: Path, source: str) -> list[str]:
    """Complaints about the imports of one file below pvnet/."""
    if len(path.parts) < 3 and path.stem in ("__init__", "__main__"):
        return []  # the face imports every room, when it is asked for
    room = path.parts[1] if len(path.parts) > 2 else path.stem
    if room not in PYTHON_RANK:
        return [f"{path}: the room '{room}' has no place. Add it to PYTHON_ROWS."]
    problems = []
    for module, line, deferred in python_imports(path, source):
        names = module.split(".")
        if names[0] == "torch" and not may_use_torch(path):
            problems.append(f"{path}:{line}: imports torch, which only {TORCH} may.")
        if names[0] != "pvnet" or len(names) < 2 or names[1] not in PYTHON_RANK:
            continue
        allowed = deferred and (path.as_posix(), names[1]) in LAZY
        upwards = not may_use(PYTHON_RANK, room, names[1])
        if (upwards or not _inside(path, names)) and not allowed:
            problems.append(f"{path}:{line}: imports upwards ({module}). Move it or invert it.")
    return problems


def check_outside(path: Path, source: str) -> list[str]:
    """Complaints about the imports of one file of bench/: commands are for people."""
    refused = OUTSIDE.get(path.parts[0], set())
    return [
        f"{path}:{line}: imports {module}. Take it from a room below."
        for module, line, _ in python_imports(path, source)
        if module.startswith("pvnet.") and module.split(".")[1] in refused
    ]


def unused_exceptions(sources: dict[Path, str]) -> list[str]:
    """Complaints about entries of LAZY that nothing needs any more."""
    needed = {
        (path.as_posix(), module.split(".")[1])
        for path, source in sources.items()
        for module, _, deferred in python_imports(path, source)
        if deferred and module.startswith("pvnet.")
    }
    return [
        f"{file}: LAZY allows '{room}', unused. Remove it." for file, room in set(LAZY) - needed
    ]


def _cpp_room(path: Path, target: str, exists: bool) -> str | None:
    """The room that an #include leads to; None for headers from outside."""
    if target in PUBLIC_HEADERS:
        return PUBLIC_HEADERS[target]
    if exists:  # beside the file that includes it, "../plan/x.hpp" too
        parts: list[str] = []
        for part in (*path.parent.parts, *Path(target).parts):
            parts = parts[:-1] if part == ".." else [*parts, part]
        return parts[1] if len(parts) > 2 and parts[0] == "csrc" else None
    first = target.split("/")[0]
    return first if first in CPP_RANK else None


def check_cpp(path: Path, source: str, root: Path) -> list[str]:
    """Complaints about the includes of one file below csrc/."""
    public = path.as_posix().removeprefix("csrc/include/")
    if public != path.as_posix():
        room = PUBLIC_HEADERS.get(public)
    else:
        room = path.parts[1] if path.parts[1] in CPP_RANK else None
    if room is None:
        return [f"{path}: has no place. Add it to CPP_ROWS or PUBLIC_HEADERS."]
    problems = []
    for match in INCLUDE.finditer(source):
        target = match[1]
        beside = (root / path.parent / target).is_file()
        other = _cpp_room(path, target, beside)
        if other is None or may_use(CPP_RANK, room, other):
            continue
        line = source.count("\n", 0, match.start(1)) + 1
        problems.append(f"{path}:{line}: includes upwards ({target}). Move it or invert it.")
    return problems


def circles(sources: dict[Path, str]) -> list[str]:
    """Files that import each other, as one complaint a circle; the face imports everything.

    An import inside a function or for types only counts too: who reads one needs the other.
    """
    modules = {}
    for path in sources:
        parts = path.with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    uses: dict[str, set[str]] = {}
    for name, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(sources[path])):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                # `from package import module` needs the module, `from module import name` that one.
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {f if f in modules else node.module for f in full}
        uses[name] = {f for f in found if f in modules and f not in (name, "pvnet")}
    return [
        f"{modules[circle[0]]}: a circle of imports: {' -> '.join([*circle, circle[0]])}. Break it."
        for circle in _cycles(uses)
    ]


def _cycles(uses: dict[str, set[str]]) -> list[list[str]]:
    """One cycle through every node that a depth-first search finds again on its own path."""
    done: set[str] = set()
    found: list[list[str]] = []

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append(path[path.index(name) :])
            return
        if name in done:
            return
        for other in sorted(uses[name]):
            visit(other, [*path, name])
        done.add(name)

    for name in sorted(uses):
        visit(name, [])
    return found
