"""What the kernels may cost: registers, stack, code, tensor instructions, the library's size.

budget.json has the numbers. A change of the kernels that needs more says so by a change there.
"""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import pytest
from toolkit import ARCHITECTURES, DTYPES, STORED, Build, Kernel, build, find, parse_ptxas

BUDGET = json.loads((Path(__file__).parent / "budget.json").read_text())
BYTES = 16  # of an instruction


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The kernels, compiled for all architectures of a release."""
    nvcc = find("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc: the kernels cannot be compiled here")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    made = build(nvcc, tmp_path_factory.mktemp("kernels"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"nvcc: {spent:.0f} s of CPU, library {made.library.stat().st_size / 1e6:.2f} MB")
    return made


@pytest.fixture(scope="module")
def kernels(built: Build) -> list[Kernel]:
    """What ptxas says of every kernel."""
    return parse_ptxas(built.log)


@pytest.fixture(scope="module")
def disassembly(built: Build) -> dict[str, dict[str, list[str]]]:
    """Instructions by architecture and kernel."""
    nvdisasm = find("nvdisasm")
    if nvdisasm is None:
        pytest.skip("no nvdisasm: pip install nvidia-cuda-nvdisasm brings it")
    return {a: built.sass(a, nvdisasm) for a in ARCHITECTURES}


def test_every_kernel_is_there_for_every_architecture(kernels: list[Kernel], built: Build) -> None:
    """Each dtype's tiles, and the others once a type of element; as PTX, too."""
    for architecture in ARCHITECTURES:
        mine = [k for k in kernels if k.architecture == architecture]
        assert sorted(k.dtype for k in mine if k.name == "tiles") == sorted(DTYPES)
        for name in ("begin", "end", "plain_tiles", "rare_tiles"):
            assert sum(k.name == name for k in mine) == STORED
    entries = re.findall(r"\.entry (\w+)", built.ptx())
    assert sorted(entries) == sorted({k.symbol for k in kernels})


def test_registers_stack_and_spills(kernels: list[Kernel], built: Build) -> None:
    """Nothing lies in local memory, and four blocks fit an SM."""
    for kernel in kernels:
        assert kernel.registers <= BUDGET["registers"][kernel.name], kernel
        assert (kernel.stack, kernel.spills) == (0, 0), kernel
    assert "__local_depot" not in built.ptx()


@pytest.mark.parametrize("name", ["begin", "end", "plain_tiles", "rare_tiles", "tiles"])
def test_code_fits_the_instruction_caches(
    name: str, kernels: list[Kernel], disassembly: dict[str, dict[str, list[str]]]
) -> None:
    """A kernel that has outgrown it becomes two."""
    for kernel in (k for k in kernels if k.name == name):
        code = disassembly[kernel.architecture][kernel.symbol]
        room = BUDGET["code_bytes"]
        most = room.get(f"{kernel.name} {kernel.dtype}", room[kernel.name])
        assert len(code) * BYTES <= most, (kernel, len(code) * BYTES)


def test_instructions(
    kernels: list[Kernel], disassembly: dict[str, dict[str, list[str]]]
) -> None:
    """Nothing in local memory, and the tensor cores do exactly what was planned."""
    for kernel in kernels:
        code = disassembly[kernel.architecture][kernel.symbol]
        assert not [c for c in code if re.search(r"\b(LDL|STL)\b", c)], kernel
        tensor = sum("HMMA" in c for c in code)
        assert tensor == BUDGET["tensor_instructions"].get(kernel.dtype, 0), (kernel, tensor)


def test_launches_depend_on_each_other(
    kernels: list[Kernel], disassembly: dict[str, dict[str, list[str]]]
) -> None:
    """From sm_90 on, every kernel lets the next one start early and waits for the one before."""
    for kernel in kernels:
        code = disassembly[kernel.architecture][kernel.symbol]
        new = kernel.architecture == "sm_90a"
        paths = 2 if kernel.name == "tiles" else 1  # convolutions have loads of weights in front
        assert sum("ACQBULK" in c for c in code) == new * paths, kernel
        assert sum("PREEXIT" in c for c in code) == new, kernel


def test_library_size(built: Build) -> None:
    """With the runtime linked in, as releases have it."""
    assert built.library.stat().st_size <= BUDGET["library_bytes"]
