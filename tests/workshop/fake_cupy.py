"""A stand-in for CuPy: arrays are numpy's, and kernels run on the host, a thread after another.

It compiles the very source with the host's C++ compiler. So it proves what is launched with what,
for kernels whose threads do not wait for each other; it knows no time but the one it is told.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

PREAMBLE = """
#include <cstddef>
#include <utility>
#define __global__ __attribute__((visibility("default")))
struct dim3 { unsigned x, y, z; };
static dim3 gridDim, blockDim, blockIdx, threadIdx;
"""
# Calls a function with arguments that lie behind an array of pointers, as a launch does.
LAUNCHER = """
template <class... A, std::size_t... I>
static void call(void (*kernel)(A...), void** a, std::index_sequence<I...>) {
  kernel(*static_cast<A*>(a[I])...);
}
template <class... A>
static void all(void (*kernel)(A...), const unsigned* s, void** a) {
  gridDim = {s[0], s[1], s[2]}, blockDim = {s[3], s[4], s[5]};
  dim3 &b = blockIdx, &t = threadIdx;
  for (b.z = 0; b.z < s[2]; ++b.z) for (b.y = 0; b.y < s[1]; ++b.y) for (b.x = 0; b.x < s[0]; ++b.x)
    for (t.z = 0; t.z < s[5]; ++t.z) for (t.y = 0; t.y < s[4]; ++t.y)
      for (t.x = 0; t.x < s[3]; ++t.x) call(kernel, a, std::index_sequence_for<A...>());
}
extern "C" __global__ void launch_NAME(const unsigned* shape, void** a) { all(NAME, shape, a); }
"""


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CUDADriverError(RuntimeError):
    pass


class CompileException(Exception):
    pass


class Fake(ModuleType):
    """What `import cupy` gives.

    Attributes:
        folder: for what is compiled.
        calls: everything that was asked for, in order.
        clock_ms: time of the device; a launch takes what `cost_ms` says.
    """

    def __init__(self, devices: int | Exception = 1, folder: Path = Path()) -> None:
        super().__init__("cupy")
        self.folder = folder
        self.calls: list[tuple] = []
        self.clock_ms = 0.0
        self.cost_ms = lambda grid, block: 1.0
        self.most_threads = 1024
        self._devices = devices
        self.cuda = SimpleNamespace(
            runtime=SimpleNamespace(getDeviceCount=self._count, CUDARuntimeError=CUDARuntimeError),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            compiler=SimpleNamespace(CompileException=CompileException),
            Event=lambda: Event(self),
            get_elapsed_time=lambda begin, end: end.at_ms - begin.at_ms,
        )
        self.asarray, self.empty, self.asnumpy = np.array, np.empty, np.array

    def _count(self) -> int:
        if isinstance(self._devices, Exception):
            raise self._devices
        return self._devices

    def RawModule(self, *, code: str, options: tuple[str, ...]) -> RawModule:
        self.calls.append(("module", options))
        return RawModule(self, code, options)


class Event:
    def __init__(self, cupy: Fake) -> None:
        self._cupy = cupy
        self.at_ms = float("nan")

    def record(self) -> None:
        self._cupy.calls.append(("record",))
        self.at_ms = self._cupy.clock_ms

    def synchronize(self) -> None:
        self._cupy.calls.append(("synchronize",))


class RawModule:
    def __init__(self, cupy: Fake, code: str, options: tuple[str, ...]) -> None:
        self._cupy, self._code, self._options = cupy, code, options
        self._folder = Path(tempfile.mkdtemp(dir=cupy.folder))

    def _run(self, launcher: str, *options: str) -> None:
        source = self._folder / "kernel.cpp"
        source.write_text(f'{PREAMBLE}\n#line 1 "kernel.cu"\n{self._code}\n{launcher}')
        command = ["c++", *self._options, *options, str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise CompileException(done.stderr)

    def compile(self) -> None:
        self._run("", "-fsyntax-only")

    def get_function(self, name: str) -> Function:
        library = self._folder / f"{name}.so"
        try:
            self._run(LAUNCHER.replace("NAME", name), "-O1", "-shared", "-fPIC", f"-o{library}")
        except CompileException as error:
            raise CUDADriverError("CUDA_ERROR_NOT_FOUND: named symbol not found") from error
        return Function(self._cupy, ctypes.CDLL(str(library))[f"launch_{name}"])


class Function:
    num_regs, local_size_bytes, shared_size_bytes = 32, 0, 128

    def __init__(self, cupy: Fake, entry) -> None:
        self._cupy, self._entry = cupy, entry

    def __call__(self, grid, block, arguments, *, shared_mem: int) -> None:
        self._cupy.calls.append(("launch", grid, block, shared_mem))
        if np.prod(block) > self._cupy.most_threads:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        self._cupy.clock_ms += self._cupy.cost_ms(grid, block)
        held = [
            ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else np.array(a)
            for a in arguments
        ]
        places = [
            ctypes.addressof(h) if isinstance(h, ctypes.c_void_p) else h.ctypes.data for h in held
        ]
        self._entry((ctypes.c_uint * 6)(*grid, *block), (ctypes.c_void_p * len(places))(*places))


def install(monkeypatch, fake: Fake) -> Fake:
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake
