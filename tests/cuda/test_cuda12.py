"""CUDA 12.x: its runtime's headers, its compiler and its assembler take the same sources.

The pip wheels nvidia-cuda-runtime-cu12, -nvrtc-cu12 and -nvcc-cu12 bring them, and need no device.
docs/cuda.md has the figures of a run.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from toolkit import ARCHITECTURES, KERNELS, Kernel, in_wheels, nvrtc_ptx, parse_ptxas

BUDGET = json.loads((Path(__file__).parent / "budget.json").read_text())
ROOT = KERNELS.parent
SOURCE = b"""#include "tick.cuh"
#define PV_STORED(T) \\
  template __global__ void pv::begin<T>(pv_program, pv_call); \\
  template __global__ void pv::end<T>(pv_program, pv_call); \\
  template __global__ void pv::plain_tiles<T>(pv_program, pv_call); \\
  template __global__ void pv::rare_tiles<T>(pv_program, pv_call)
PV_STORED(float);
PV_STORED(__half);
PV_STORED(__nv_bfloat16);
template __global__ void pv::tiles<PV_F32>(pv_program, pv_call);
template __global__ void pv::tiles<PV_TF32>(pv_program, pv_call);
template __global__ void pv::tiles<PV_F16>(pv_program, pv_call);
template __global__ void pv::tiles<PV_BF16>(pv_program, pv_call);
"""


def of_cuda12(pattern: str) -> Path:
    """A file of the wheels of CUDA 12."""
    found = in_wheels(pattern)
    if not found:
        pytest.skip("no pip wheels nvidia-cuda-{runtime,nvrtc,nvcc}-cu12 here")
    return found[0]


def test_the_runtime_calls_compile() -> None:
    """cudart.cpp names nothing that 12.x lacks."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    headers = of_cuda12("cuda_runtime/include/cuda_runtime_api.h").parent
    crt = of_cuda12("cuda_nvcc/include/crt/host_defines.h").parents[1]
    version = re.search(r"CUDART_VERSION\s+(\d+)", (headers / "cuda_runtime_api.h").read_text())
    assert version is not None
    assert 12000 <= int(version[1]) < 13000
    command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Werror", f"-I{ROOT}"]
    command += [f"-I{ROOT / 'csrc'}", "-isystem", str(headers), "-isystem", str(crt)]
    command += [str(ROOT / "csrc/backends/cuda/cudart.cpp")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kernels_keep_the_budget(architecture: str, tmp_path: Path) -> None:
    """NVRTC and ptxas of 12.x: the registers of budget.json, no stack, no spills."""
    library = of_cuda12("cuda_nvrtc/lib/libnvrtc.so.12")
    headers = of_cuda12("cuda_runtime/include/cuda_bf16.h").parent
    ptxas = of_cuda12("cuda_nvcc/bin/ptxas")
    virtual = architecture.replace("sm_", "compute_")
    ptx = tmp_path / "tick.ptx"
    ptx.write_text(nvrtc_ptx(library, headers, SOURCE, virtual))
    command = [str(ptxas), "-v", f"-arch={architecture}", str(ptx), "-o", str(tmp_path / "cubin")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    kernels = parse_ptxas(done.stdout + done.stderr)
    report(architecture, kernels, ptx)
    assert len(kernels) == SOURCE.count(b"pv::tiles<") + 4 * 3
    for kernel in kernels:
        assert kernel.registers <= BUDGET["registers"][kernel.name], kernel
        assert (kernel.stack, kernel.spills) == (0, 0), kernel


def report(architecture: str, kernels: list[Kernel], ptx: Path) -> None:
    """The most registers of each kind of kernel: what docs/cuda.md shows."""
    release = re.search(r"release ([\d.]+)", ptx.read_text())
    print(f"CUDA {release[1] if release else '?'}, {architecture}:")
    for name in BUDGET["registers"]:
        print(f"  {name}: {max(k.registers for k in kernels if k.name == name)} registers")
