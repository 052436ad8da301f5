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

TORCH_FREE = [
    "pvnet",
    "pvnet.cli.__main__",
    "pvnet.data",
    "pvnet.graph",
    "pvnet.runtime",
    "pvnet.video",
    "pvnet.viz",
]
PUBLIC = [
    "data",
    "errors",
    "graph",
    "models",
    "nn",
    "ops",
    "runtime",
    "train",
    "video",
    "video.synthetic",
    "viz",
]


def test_budget():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout: the tool asks git for the files")
    tool = Path("tools") / "budget.py"
    done = subprocess.run(
        [sys.executable, str(tool)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", TORCH_FREE)
def test_imports_without_torch(module):
    program = f"import sys, {module}; sys.exit('torch imported' if 'torch' in sys.modules else 0)"
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
