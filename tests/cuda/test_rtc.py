"""The kernels' sources as NVRTC reads them: no include of a host's compiler, CUDA 12 or newer."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from toolkit import KERNELS, in_wheels, nvrtc_ptx

SOURCE = b"""#include "tick.cuh"
template __global__ void pv::begin<float>(pv_program, pv_call);
template __global__ void pv::tiles<PV_F32>(pv_program, pv_call);
template __global__ void pv::tiles<PV_BF16>(pv_program, pv_call);
template __global__ void pv::plain_tiles<float>(pv_program, pv_call);
template __global__ void pv::rare_tiles<float>(pv_program, pv_call);
template __global__ void pv::end<float>(pv_program, pv_call);
"""


def test_tables_need_no_header_of_the_host() -> None:
    """segment.h and program.h bring their own integers where there is no <stdint.h>."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here")
    command = [compiler, "-x", "c", "-nostdinc", "-fsyntax-only", "-Werror", "-D__CUDACC_RTC__"]
    command += [str(KERNELS / "program.h")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_nvrtc_compiles_every_kernel() -> None:
    """At run time, as CuPy does it."""
    libraries, headers = in_wheels("*/lib/libnvrtc.so*"), in_wheels("*/include/cuda_bf16.h")
    if not libraries or not headers:
        pytest.skip("no NVRTC with headers among the pip wheels nvidia-cuda-nvrtc, -runtime")
    assert ".entry" in nvrtc_ptx(libraries[0], headers[0].parent, SOURCE, "sm_90a")
