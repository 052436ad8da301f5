"""Builds without kernels: what CMake decides, and what a user of such a build reads."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The files that say it, and nothing else of pvnet.
PROJECT = """cmake_minimum_required(VERSION 3.22)
project(message LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 20)
include("@ROOT@/cmake/cuda.cmake")
set(cuda "@ROOT@/csrc/backends/cuda")
add_executable(message main.cpp)
target_include_directories(message PRIVATE "@ROOT@" "@ROOT@/csrc" "@ROOT@/csrc/include")
add_library(pvnet_backends STATIC "@ROOT@/csrc/graph/json.cpp")
target_include_directories(pvnet_backends PRIVATE "@ROOT@" "@ROOT@/csrc" "@ROOT@/csrc/include")
add_subdirectory("${cuda}" cuda)
target_link_libraries(message PRIVATE pvnet_backends)
"""
MAIN = """#include <cstdio>
#include "backends/cuda/device.hpp"
int main() { std::puts(pvnet::cuda::find_device("sm80").status().message().c_str()); }
"""


def configure(folder: Path, option: str) -> subprocess.CompletedProcess[str]:
    """CMake on a project of the message alone, with no nvcc to be found."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("no cmake or no C++ compiler here")
    (folder / "CMakeLists.txt").write_text(PROJECT.replace("@ROOT@", str(ROOT)))
    (folder / "main.cpp").write_text(MAIN)
    environment = {**os.environ, "CUDACXX": str(folder / "no" / "nvcc")}
    command = ["cmake", "-S", str(folder), "-B", str(folder / "build"), f"-DPVNET_CUDA={option}"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def message_of(folder: Path, option: str) -> str:
    """What a build with this option says when it is asked for a device."""
    configured = configure(folder, option)
    assert configured.returncode == 0, configured.stderr
    command = ["cmake", "--build", str(folder / "build")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    program = str(folder / "build" / "message")
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


def test_a_build_without_kernels_says_so(tmp_path: Path) -> None:
    assert message_of(tmp_path, "OFF") == (
        "[find_backend] this build has no CUDA kernels: got a build with PVNET_CUDA=OFF, expected "
        "AUTO or ON. Leave that out and build pvnet again with PVNET_CUDA=ON, or use "
        'backend="cpu".'
    )


def test_a_build_that_found_no_nvcc_says_so(tmp_path: Path) -> None:
    assert message_of(tmp_path, "AUTO") == (
        "[find_backend] this build has no CUDA kernels: got no nvcc that compiles when it was "
        "built, expected nvcc 12.0 or newer on PATH. Install the CUDA toolkit, set CUDACXX to its "
        'nvcc, and build pvnet again with PVNET_CUDA=ON, or use backend="cpu".'
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [("ON", "the CUDA kernels cannot be compiled: got no nvcc that compiles"), ("YES", "unknown")],
)
def test_a_build_that_must_have_kernels_stops(tmp_path: Path, option: str, said: str) -> None:
    done = configure(tmp_path, option)
    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())
