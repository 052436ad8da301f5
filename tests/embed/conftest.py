"""Builds and installs libpvnet once per session; the build folder stays for the next one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from embed_build import ROOT, Installed, run


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    for tool in ("cmake", "c++", "cc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    # A build folder that is there already (with tests and the shared library) saves minutes.
    build = Path(os.environ.get("PVNET_EMBED_BUILD", ROOT / "build" / "embed"))
    prefix = tmp_path_factory.mktemp("prefix")
    new = ["-DCMAKE_BUILD_TYPE=Release"]
    if shutil.which("ninja"):
        new += ["-G", "Ninja"]
    if (build / "CMakeCache.txt").exists():
        new = []
    options = ("-DPVNET_PYTHON=OFF", "-DPVNET_TESTS=ON", "-DPVNET_SHARED=ON")
    run("cmake", "-S", ROOT, "-B", build, *options, *new)
    jobs = str(os.cpu_count() or 1)
    run("cmake", "--build", build, "-j", jobs, "--target", "pvnet", "make_test_model")
    run("cmake", "--install", build, "--prefix", prefix)
    model = prefix / "model.safetensors"
    run(build / "tests" / "cpp" / "make_test_model", model, "2")
    (library,) = prefix.glob("lib*/**/libpvnet.so")
    return Installed(prefix, library, model)
