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


def test_rooms_of_one_row_do_not_import_each_other():
    source = "from pvnet.video.frame import Frame\n"
    assert len(import_order.check_python(Path("pvnet/graph/x.py"), source)) == 1


def test_a_lazy_import_is_allowed_in_its_file_and_only_inside_a_function():
    (file, room), *_ = import_order.LAZY
    inside = f"def f():\n    from pvnet.{room} import x\n    return x\n"
    assert import_order.check_python(Path(file), inside) == []
    assert len(import_order.check_python(Path(file), f"from pvnet.{room} import x\n")) == 1
    assert len(import_order.check_python(Path(file).with_name("other.py"), inside)) == 1
    assert len(import_order.unused_exceptions({})) == len(import_order.LAZY)


@pytest.mark.parametrize("room", sorted(import_order.TORCH_FREE))
def test_torch_in_a_room_without_it_is_found(room):
    source = "def f():\n    import torch.nn\n"
    assert len(import_order.check_python(Path(f"pvnet/{room}/x.py"), source)) == 1
    assert import_order.check_python(Path("pvnet/nn/x.py"), source) == []


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
    assert import_order.circles(sources) == []


def test_the_budget_says_what_the_guard_finds(tmp_path):
    """The command itself, on a tree of its own: it must look at files, not only know how."""
    files = {
        "pvnet/data/x.py": UPWARDS["at the top"],
        "pvnet/graph/a.py": "import pvnet.graph.b\n",
        "pvnet/graph/b.py": "import pvnet.graph.a\n",
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
