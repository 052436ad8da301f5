"""libpvnet as a user gets it: installed, found, linked, run, and nothing in it that is not ours."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from embed_build import ROOT, Installed, run

import pvnet


def test_c_and_cpp_programs_against_the_package(installed: Installed, tmp_path: Path) -> None:
    run(
        "cmake", "-S", ROOT / "tests" / "cpp" / "embed", "-B", tmp_path,
        f"-DCMAKE_PREFIX_PATH={installed.prefix}", f"-DPVNET_TEST_MODEL={installed.model}",
    )  # fmt: skip
    run("cmake", "--build", tmp_path)
    for program in ("embed_c", "embed_cpp"):
        assert run(tmp_path / program, installed.model).strip() == "ok"


def test_example_builds_with_cmake_and_runs(installed: Installed, tmp_path: Path) -> None:
    example = ROOT / "examples" / "embed_c"
    run("cmake", "-S", example, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={installed.prefix}")
    run("cmake", "--build", tmp_path)
    out = run(tmp_path / "embed_c", installed.model, "8")
    lines = out.strip().splitlines()
    assert len(lines) == 8
    assert "warming up" in lines[0]
    assert re.match(r"tick 7: class \d \(\w+\), score -?\d", lines[-1])


def test_example_builds_against_the_python_package(installed: Installed, tmp_path: Path) -> None:
    example = ROOT / "examples" / "embed_c"
    run("cmake", "-S", example, "-B", tmp_path, f"-Dpvnet_DIR={pvnet.get_cmake_dir()}")
    run("cmake", "--build", tmp_path)
    cache = (tmp_path / "CMakeCache.txt").read_text()
    assert f"pvnet_DIR:UNINITIALIZED={pvnet.get_cmake_dir()}" in cache
    assert "tick 2" in run(tmp_path / "embed_c", installed.model, "3")


def test_the_python_package_carries_headers_and_one_library(
    installed: Installed, tmp_path: Path
) -> None:
    include = Path(pvnet.get_include())
    assert {p.name for p in (include / "pvnet").iterdir()} == {"pvnet.h", "pvnet.hpp", "kernels"}
    sources = [p for p in (ROOT / "kernels").rglob("*") if p.suffix in (".h", ".cuh", ".cu")]
    assert {p.relative_to(include / "pvnet") for p in (include / "pvnet/kernels").rglob("*.*")} == {
        p.relative_to(ROOT) for p in sources
    }
    (library,) = Path(pvnet.get_cmake_dir()).parents[1].glob("libpvnet.so*")
    lines = run("readelf", "-d", library)
    assert re.search(rf"SONAME.*\[{re.escape(library.name)}\]", lines)
    program = tmp_path / "embed_c"
    source = ROOT / "examples" / "embed_c" / "main.c"
    folder = f"-Wl,-rpath,{library.parent}"
    run("cc", "-std=c99", source, "-o", program, f"-I{include}", library, folder)
    assert "tick 2" in run(program, installed.model, "3")


def test_example_builds_with_pkg_config(installed: Installed, tmp_path: Path) -> None:
    pkg_config = shutil.which("pkg-config") or shutil.which("pkgconf")
    if pkg_config is None:
        pytest.skip("pkg-config is not installed")
    env = {**os.environ, "PKG_CONFIG_PATH": str(installed.library.parent / "pkgconfig")}
    flags = run(pkg_config, "--cflags", "--libs", "pvnet", env=env).split()
    source = ROOT / "examples" / "embed_c" / "main.c"
    program = tmp_path / "embed_c"
    rpath = f"-Wl,-rpath,{installed.library.parent}"
    run("cc", "-std=c99", source, "-o", program, *flags, rpath)
    assert "tick 2" in run(program, installed.model, "3")


def test_only_pvnet_symbols_are_exported(installed: Installed) -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not installed")
    lines = run(nm, "-D", "--defined-only", installed.library).splitlines()
    names = {line.split()[-1].split("@")[0] for line in lines}
    assert names == declared_functions(installed)


def declared_functions(installed: Installed) -> set[str]:
    header = (installed.prefix / "include" / "pvnet" / "pvnet.h").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return set(re.findall(r"^PVNET_API[^;]*?\b(pvnet_\w+)\(", code, flags=re.MULTILINE))


def test_library_needs_no_python_and_no_torch(installed: Installed) -> None:
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf is not installed")
    dynamic = run(readelf, "-d", installed.library)
    needed = set(re.findall(r"NEEDED.*\[(\S+?)\.so", dynamic))
    assert needed <= {"libstdc++", "libm", "libgcc_s", "libc", "libpthread", "ld-linux-x86-64",
                      "ld-linux-aarch64"}  # fmt: skip
    assert re.search(r"SONAME.*\[libpvnet\.so\.\d+\]", dynamic)


def test_only_what_a_user_needs_is_installed(installed: Installed) -> None:
    files = {p.name for p in installed.prefix.rglob("*") if p.is_file() or p.is_symlink()}
    files -= {"model.safetensors"}
    versioned = {f for f in files if f.startswith("libpvnet.so")}
    assert len(versioned) == 3
    targets = {f for f in files if f.startswith("pvnetTargets")}
    assert files - versioned - targets == {
        "pvnet.h", "pvnet.hpp", "pvnetConfig.cmake", "pvnetConfigVersion.cmake", "pvnet.pc",
    }  # fmt: skip


def test_ctypes_can_use_it(installed: Installed) -> None:
    """A foreign language sees plain C: loading, version, and a refusal with its message."""
    code = (
        "import ctypes, sys\n"
        "lib = ctypes.CDLL(sys.argv[1])\n"
        "lib.pvnet_last_error.restype = ctypes.c_char_p\n"
        "m = ctypes.c_void_p()\n"
        "assert lib.pvnet_api_version() == 2\n"
        "assert lib.pvnet_model_load(b'/nowhere', ctypes.byref(m)) == 3\n"
        "assert lib.pvnet_last_error().startswith(b'[load_model]')\n"
        "assert lib.pvnet_model_load(sys.argv[2].encode(), ctypes.byref(m)) == 0\n"
        "lib.pvnet_model_destroy(m)\n"
    )
    assert ctypes.sizeof(ctypes.c_void_p) == 8
    done = subprocess.run(
        [sys.executable, "-c", code, str(installed.library), str(installed.model)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
