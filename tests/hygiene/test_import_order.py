"""The guard of the import direction: the tree passes, and every kind of violation is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import import_order

UPWARDS = {
    "at the top": "from pvnet.train.losses import mse\n",
    "of a module": "import pvnet.train.losses\n",
    "of a room from the face": "from pvnet import train\n",
    "inside a function": "def f():\n    from pvnet.train import losses\n    return losses\n",
    "inside a method": "class C:\n    def f(self):\n        import pvnet.train\n",
    "for types only": "import typing\nif typing.TYPE_CHECKING:\n    import pvnet.train\n",
    "relative": "from ..train import losses\n",
    "by name": 'import importlib\nm = importlib.import_module("pvnet.train.losses")\n',
    "by dunder": 'm = __import__("pvnet.train")\n',
}


@pytest.mark.parametrize("source", UPWARDS.values(), ids=UPWARDS)
def test_an_import_upwards_is_found(source):
    assert len(import_order.check_python(Path("pvnet/data/x.py"), source)) == 1
    assert import_order.check_python(Path("pvnet/train/x.py"), source) == []
    assert import_order.check_python(Path("pvnet/cli/x.py"), source) == []


@pytest.mark.parametrize("source", ["from pvnet.cli.run import x\n", "from pvnet import cli\n"])
def test_a_benchmark_that_imports_a_command_is_found(source):
    assert len(import_order.check_outside(Path("bench/accuracy/x.py"), source)) == 1
    assert import_order.check_outside(Path("bench/x.py"), "import pvnet.runtime\n") == []
    assert import_order.check_outside(Path("tests/x.py"), source) == []


def test_rooms_of_one_row_do_not_import_each_other():
    source = "from pvnet.video.frame import Frame\n"
    assert len(import_order.check_python(Path("pvnet/graph/x.py"), source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    from pvnet.data.sets import folder\n",
        "from pvnet.data import sets\n",
        "import pvnet.data.sets.folder\n",
    ],
)
def test_an_import_upwards_inside_a_room_is_found(source):
    assert len(import_order.check_python(Path("pvnet/data/files/x.py"), source)) == 1
    assert import_order.check_python(Path("pvnet/data/batches/x.py"), source) == []
    assert import_order.check_python(Path("pvnet/data/x.py"), source) == []
    assert import_order.check_python(Path("pvnet/cli/_common/x.py"), source) == []


def test_a_lazy_import_is_allowed_in_its_file_and_only_inside_a_function(monkeypatch):
    file, room = "pvnet/data/odd.py", "train"
    monkeypatch.setattr(import_order, "LAZY", {(file, room): "a test"})
    inside = f"def f():\n    from pvnet.{room} import x\n    return x\n"
    assert import_order.check_python(Path(file), inside) == []
    assert len(import_order.check_python(Path(file), f"from pvnet.{room} import x\n")) == 1
    assert len(import_order.check_python(Path(file).with_name("other.py"), inside)) == 1
    assert import_order.unused_exceptions({Path(file): inside}) == []
    assert len(import_order.unused_exceptions({})) == 1


@pytest.mark.parametrize("folder", ["graph", "models", "data", "data/sets", "evaluate", "cli"])
def test_torch_in_a_folder_without_it_is_found(folder):
    source = "def f():\n    import torch.nn\n"
    assert len(import_order.check_python(Path(f"pvnet/{folder}/x.py"), source)) == 1


@pytest.mark.parametrize("folder", import_order.TORCH)
def test_torch_is_allowed_in_the_folders_of_the_list(folder):
    assert import_order.check_python(Path(f"pvnet/{folder}/x.py"), "import torch.nn\n") == []


def test_a_room_without_a_place_is_found():
    assert len(import_order.check_python(Path("pvnet/attic/x.py"), "")) == 1
    assert len(import_order.check_cpp(Path("csrc/attic/x.cpp"), "", ROOT)) == 1
    assert len(import_order.check_cpp(Path("csrc/include/pvnet/attic.hpp"), "", ROOT)) == 1


@pytest.mark.parametrize(
    "include",
    [
        '#include "runtime/stream.hpp"\n',
        "#include <runtime/stream.hpp>\n",
        "  #  include <runtime/stream.hpp>\n",
        '#include "../runtime/stream.hpp"\n',
    ],
)
def test_an_include_upwards_is_found(include):
    source = "#include <vector>\n" + include
    found = import_order.check_cpp(Path("csrc/graph/x.cpp"), source, ROOT)
    assert len(found) == 1
    assert ":2:" in found[0]
    assert import_order.check_cpp(Path("csrc/runtime/x.cpp"), source, ROOT) == []
    assert import_order.check_cpp(Path("csrc/capi/x.cpp"), source, ROOT) == []


def test_a_public_header_belongs_to_the_interface_over_all_rooms():
    source = "#include <pvnet/pvnet.h>\n"
    assert len(import_order.check_cpp(Path("csrc/runtime/x.cpp"), source, ROOT)) == 1
    assert import_order.check_cpp(Path("csrc/capi/x.cpp"), source, ROOT) == []
    assert import_order.check_cpp(Path("csrc/include/pvnet/pvnet.hpp"), source, ROOT) == []


def test_a_circle_of_imports_is_found():
    a, b, c = (Path(f"pvnet/graph/{name}.py") for name in "abc")
    sources = {
        a: "from pvnet.graph import b\n",
        b: "from pvnet.graph.c import f\n",
        c: "import pvnet.graph.a\n",
    }
    assert len(import_order.circles(sources)) == 1
    sources[c] = "def f():\n    import pvnet.graph.a\n"
    assert len(import_order.circles(sources)) == 1
    sources[c] = "import typing\nif typing.TYPE_CHECKING:\n    import pvnet.graph.a\n"
    assert len(import_order.circles(sources)) == 1
    sources[c] = ""
    assert import_order.circles(sources) == []


def test_the_face_makes_no_circle():
    sources = {
        Path("pvnet/__init__.py"): "from pvnet.graph.a import f\n",
        Path("pvnet/graph/a.py"): "from pvnet import _core\n",
    }
    assert import_order.circles(sources) == []


def test_the_budget_says_what_the_guard_finds(tmp_path):
    """The command itself, on a tree of its own: it must look at files, not only know how."""
    files = {
        "pvnet/data/x.py": UPWARDS["at the top"],
        "pvnet/graph/a.py": "import pvnet.graph.b\n",
        "pvnet/graph/b.py": "import pvnet.graph.a\n",
        "bench/x.py": "import pvnet.cli.run\n",
        "csrc/graph/x.cpp": '#include "runtime/stream.hpp"\n',
        "pvnet/graph/long.py": "x = 1\n" * 401,
        "docs/page.md": "see /" + "work/here\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    command = [sys.executable, str(ROOT / "tools" / "budget.py")]
    got = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert got.returncode == 1
    for name in files.keys() - {"pvnet/graph/b.py"}:  # one complaint a circle
        assert name in got.stdout, got.stdout


def test_the_tree_passes():
    command = [sys.executable, "tools/budget.py"]
    got = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "not a git repository" in got.stderr:
        pytest.skip("no git checkout")
    assert got.returncode == 0, got.stdout
