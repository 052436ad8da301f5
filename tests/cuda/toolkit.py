"""The CUDA compiler and disassembler, where there are any, and what they say of the kernels."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
ARCHITECTURES = ("sm_80", "sm_90a")
DTYPES = ("f32", "tf32", "f16", "bf16")  # in the order of pv_dtype
STORED = 3  # types of elements: f32 and tf32 are one
GENCODE = (
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90a,code=sm_90a",
    "-gencode=arch=compute_90,code=compute_90",
)


def find(program: str) -> str | None:
    """Path of a program of the CUDA toolkit: on PATH, of CUDA_HOME, or of a pip wheel."""
    folders = [os.environ.get("PATH", "")]
    folders += [str(Path(os.environ[v]) / "bin") for v in ("CUDA_HOME",) if v in os.environ]
    folders += ["/usr/local/cuda/bin", "/usr/local/bin"]
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folders += [str(p) for p in sorted(Path(root).glob("*/bin"))]
    return shutil.which(program, path=os.pathsep.join(folders))


def in_wheels(pattern: str) -> list[Path]:
    """Files of NVIDIA's pip wheels."""
    spec = importlib.util.find_spec("nvidia")
    roots = (spec.submodule_search_locations or []) if spec else []
    return [p for root in roots for p in sorted(Path(root).glob(pattern))]


def nvrtc_ptx(library: Path, headers: Path, source: bytes, architecture: str) -> str:
    """PTX that NVRTC makes of a source, as CuPy compiles at run time."""
    nvrtc = ctypes.CDLL(str(library))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"t.cu", 0, None, None) == 0
    options = [f"-I{KERNELS}", f"-I{headers}", f"-arch={architecture}", "-std=c++17"]
    given = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
    failed = nvrtc.nvrtcCompileProgram(program, len(options), given)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert failed == 0, log.value.decode()
    # Real architectures give a cubin too; the PTX is there for each.
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, text)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return text.value.decode()


@dataclass
class Kernel:
    """What ptxas says of one kernel for one architecture."""

    architecture: str
    name: str  # begin, tiles, end, plain_tiles, rare_tiles
    dtype: str  # of tiles; the others have one kernel a type of element: ""
    symbol: str
    registers: int = 0
    stack: int = 0
    spills: int = 0


def kernel_of(architecture: str, symbol: str) -> Kernel:
    """Which kernel a symbol of tick.cu is."""
    names = "begin|tiles|end|plain_tiles|rare_tiles"
    match = re.match(rf"_ZN2pv\d+({names})I(?:L8pv_dtype(\d))?", symbol)
    assert match, f"a kernel of another name: {symbol}"
    return Kernel(architecture, match[1], DTYPES[int(match[2])] if match[2] else "", symbol)


def parse_ptxas(log: str) -> list[Kernel]:
    """Every kernel of the log of `nvcc -Xptxas -v`."""
    kernels: list[Kernel] = []
    for line in log.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)' for '(\S+)'", line):
            kernels.append(kernel_of(match[2], match[1]))
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) .* stores, (\d+)", line):
            kernels[-1].stack = int(match[1])
            kernels[-1].spills = int(match[2]) + int(match[3])
        elif match := re.search(r"Used (\d+) registers", line):
            kernels[-1].registers = int(match[1])
    return kernels


def parse_sass(text: str) -> dict[str, list[str]]:
    """Instructions of every function of a disassembly, without addresses."""
    functions: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"\s*\.text\.(\S+):", line):
            lines = functions.setdefault(match[1], [])
        elif match := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            lines.append(match[1])
    return functions


@dataclass
class Build:
    """The kernels as a shared library, and what lies beside it."""

    folder: Path
    log: str
    library: Path

    def sass(self, architecture: str, nvdisasm: str) -> dict[str, list[str]]:
        """Instructions of every kernel for one architecture."""
        cubin = self.folder / f"tick.{architecture.replace('sm_', 'compute_')}.cubin"
        done = subprocess.run([nvdisasm, "-c", cubin], capture_output=True, text=True, check=True)
        return parse_sass(done.stdout)

    def ptx(self) -> str:
        """The PTX for newer devices."""
        return (self.folder / "tick.compute_90.ptx").read_text()


def build(nvcc: str, folder: Path) -> Build:
    """Compiles tick.cu for every architecture of a release."""
    library = folder / "libtick.so"
    command = [nvcc, "-std=c++17", "-O3", "-shared", "-Xcompiler", "-fPIC", *GENCODE]
    command += ["--threads", "2", "-Xptxas", "-v", "--keep", "--keep-dir", str(folder)]
    command += [str(KERNELS / "tick.cu"), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return Build(folder, done.stdout + done.stderr, library)
