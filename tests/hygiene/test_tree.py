"""The tree: budget, C++ files that nobody builds, imports without torch, docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, files

import pvnet

sys.path.insert(0, str(ROOT / "tools"))
import import_order

# "pvnet" stands for the face and the files beside it.
ROOMS = ["pvnet", *sorted(p.parent.name for p in (ROOT / "pvnet").glob("*/__init__.py"))]
PUBLIC = [*pvnet._MODULES, "video.synthetic"]


def test_the_budget_tool_finds_no_problems():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout: the tool asks git for the files")
    tool = Path("tools") / "budget.py"
    done = subprocess.run(
        [sys.executable, str(tool)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def without_torch(room):
    """Modules of a room that may not import torch."""
    package = ROOT / "pvnet"
    found = package.glob("*.py") if room == "pvnet" else (package / room).rglob("*.py")
    paths = [p.relative_to(ROOT) for p in sorted(found)]
    names = [".".join(p.with_suffix("").parts) for p in paths if not import_order.may_use_torch(p)]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("room", [room for room in ROOMS if without_torch(room)])
def test_modules_outside_the_list_of_torch_import_without_it(room):
    program = (
        "import importlib, sys\n"
        f"for name in {without_torch(room)}: importlib.import_module(name)\n"
        "sys.exit('torch imported' if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_cpp_file_is_built_by_someone():
    text = "\n".join(p.read_text() for p in files("CMakeLists.txt", ".cmake"))
    words = set(re.findall(r"[\w.]+", text))
    orphans = [
        p.relative_to(ROOT).as_posix()
        for p in files(".cpp", ".c")
        # pvnet_cpp_test(stream) stands for test_stream.cpp, a target `graph` for fuzz_graph.cpp
        if p.name not in words and re.sub("^(test|fuzz)_", "", p.stem) not in words
    ]
    assert orphans == []


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_have_docstrings(module):
    if module in ("nn", "ops"):
        pytest.importorskip("torch")
    package = importlib.import_module(f"pvnet.{module}")
    assert package.__doc__
    names = getattr(package, "__all__", None) or [n for n in vars(package) if n[0] != "_"]
    bare = []
    for name in names:
        thing = getattr(package, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        if not (thing.__module__ or "").startswith("pvnet"):
            continue
        if not thing.__doc__:
            bare.append(name)
        if inspect.isclass(thing):
            bare += [
                f"{name}.{method}"
                for method, member in vars(thing).items()
                if method[0] != "_"
                and (inspect.isfunction(member) or isinstance(member, property))
                and not inspect.getdoc(getattr(thing, method))
            ]
    assert bare == []
