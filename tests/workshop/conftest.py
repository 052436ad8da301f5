"""For the workshop's tests: CuPy's stand-in, and the example."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from workshop.fake_cupy import Fake, install

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "workshop"


@pytest.fixture
def fake(monkeypatch, tmp_path_factory):
    if shutil.which("c++") is None:
        pytest.skip("the stand-in for a device needs a C++ compiler")
    return install(monkeypatch, Fake(folder=tmp_path_factory.mktemp("kernels")))


@pytest.fixture(scope="session")
def example():
    """The module examples/workshop/max_pool.py."""
    spec = importlib.util.spec_from_file_location("max_pool", EXAMPLE / "max_pool.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
