"""Builds and installs libpvnet once per session; the build folder stays for the next one."""

from __future__ import annotations

import os
import shutil

import pytest
from embed_build import ROOT, Installed, run


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    for tool in ("cmake", "c++", "cc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    build = ROOT / "build" / "embed"
    prefix = tmp_path_factory.mktemp("prefix")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run(
        "cmake", "-S", ROOT, "-B", build, *generator, "-DPVNET_PYTHON=OFF", "-DPVNET_TESTS=ON",
        "-DPVNET_SHARED=ON", "-DCMAKE_BUILD_TYPE=Release",
    )  # fmt: skip
    jobs = str(os.cpu_count() or 1)
    run("cmake", "--build", build, "-j", jobs, "--target", "pvnet", "make_test_model")
    run("cmake", "--install", build, "--prefix", prefix)
    model = prefix / "model.safetensors"
    run(build / "tests" / "cpp" / "make_test_model", model, "2")
    (library,) = prefix.glob("lib*/**/libpvnet.so")
    return Installed(prefix, library, model)
