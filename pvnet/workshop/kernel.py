"""Kernel files, compiled for the device at hand by NVRTC."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pvnet.distribution import get_include
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.workshop.device import cupy

Define = int | float | str
Dim3 = tuple[int, int, int]
_NAME = re.compile(r"[A-Za-z_]\w*")


class Kernel:
    """A compiled kernel; calling it queues a launch on CuPy's current stream.

    Attributes:
        name: of the function.
        defines: macros that it was compiled with.
        registers: of a thread.
        local_bytes: of a thread, in memory: spilled registers, arrays.
        shared_bytes: of a block, those that the file itself declares.
    """

    def __init__(self, function: Any, name: str, defines: Mapping[str, Define]) -> None:
        self._function = function
        self.name = name
        self.defines = dict(defines)
        self.registers = int(function.num_regs)
        self.local_bytes = int(function.local_size_bytes)
        self.shared_bytes = int(function.shared_size_bytes)

    def __call__(
        self, grid: Dim3, block: Dim3, arguments: Sequence[Any], *, shared_bytes: int = 0
    ) -> None:
        """Launch it.

        Args:
            grid: blocks (x, y, z).
            block: threads of a block (x, y, z).
            arguments: CuPy arrays for pointers, numpy scalars for numbers (np.int32 for int).
            shared_bytes: dynamic shared memory of a block.
        """
        self._function(grid, block, tuple(arguments), shared_mem=shared_bytes)

    def __repr__(self) -> str:
        return f"Kernel({self.name!r}, {self.defines}, registers={self.registers})"


def load(
    path: str | os.PathLike[str],
    name: str,
    *,
    defines: Mapping[str, Define] | None = None,
    options: Sequence[str] = (),
) -> Kernel:
    """Compile a kernel of a file.

    The file finds pvnet's own headers: `#include <pvnet/kernels/segment.h>`; and what lies beside
    it. The name is that of the file: declare the kernel `extern "C"`.

    Args:
        path: of the file, CUDA C++17.
        name: of the kernel.
        defines: macros by name, e.g. {"TILE_W": 8}.
        options: more options of NVRTC.

    Raises:
        MissingPackageError, UnsupportedError: there is no CuPy, driver or device.
        FileError: the file cannot be read.
        InvalidArgumentError: it does not compile, has no such kernel, or a macro has no such name.
    """
    where = "workshop.load"
    source = _read(Path(path), where)
    flags = _flags(Path(path), defines or {}, where)
    module = cupy(where)
    raw = module.RawModule(code=source, options=(*flags, *options))
    try:
        raw.compile()
    except module.cuda.compiler.CompileException as error:
        raise InvalidArgumentError(
            f"[{where}] {os.fspath(path)} does not compile: got {_first_error(str(error))}, "
            f"expected CUDA C++17. Correct it; defines were {dict(defines or {})}."
        ) from error
    try:
        return Kernel(raw.get_function(name), name, defines or {})
    except module.cuda.driver.CUDADriverError as error:
        raise InvalidArgumentError(
            f"[{where}] {os.fspath(path)} has no kernel {name!r}: got {error}, expected "
            f'extern "C" __global__ void {name}(...). Correct the name.'
        ) from error


def _read(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            f"[{where}] cannot read {str(path)!r}: got {error}, expected a CUDA source file. "
            "Check the path."
        ) from error


def _flags(path: Path, defines: Mapping[str, Define], where: str) -> list[str]:
    for name in defines:
        if not _NAME.fullmatch(name):
            raise InvalidArgumentError(
                f"[{where}] this is no name of a macro: got {name!r}, expected letters, digits and "
                "underscores. Rename it."
            )
    include = get_include()
    folders = [str(path.resolve().parent), include, str(Path(include, "pvnet", "kernels"))]
    macros = [f"-D{name}={value}" for name, value in defines.items()]
    return ["--std=c++17", *(f"-I{folder}" for folder in folders), *macros]


def _first_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "no message")
