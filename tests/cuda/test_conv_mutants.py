"""Faults put into the convolution kernel, one by one: its tests notice each.

The faults are text put in place of text of `kernels/`, all into one copy, where a number says which
of them is there. So the kernels know nothing of them, and one compilation serves all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONV, SUMS = "conv/conv.cuh", "conv/sums.cuh"
SWITCH = """
inline int mutant_number = 0;
inline int mutant(int number) { return mutant_number == number; }
"""


@dataclass(frozen=True)
class Mutant:
    """A fault of a file: old text and what replaces it; `@` is 1 if the fault is there, else 0."""

    name: str
    file: str
    texts: tuple[str, ...]  # old, new, old, new, ...


def fault(name: str, file: str, *texts: str) -> Mutant:
    """A fault by its name."""
    return Mutant(name, file, texts)


AHEAD = "conv.prefetch();\n"
WRITE = "p.slots[tile.row * p.n_reads + p.ops[tile.op].write]"
WAIT = "wait_copies<PV_WEIGHT_STAGES - {}>()"
LATE_WAIT = f"@ ? {WAIT.format(1)} : {WAIT.format(2)}"
MUTANTS = [
    fault("barrier removed", CONV, "sync();\n      copy_step", "if (!@) sync();\n copy_step"),
    fault("wait one group late", CONV, WAIT.format(2), LATE_WAIT),
    fault(
        "a patch buffer fewer",
        CONV,
        *("patch % op.patch_buffers *", "patch % (op.patch_buffers - @) *"),
        *("buffers = op.patch_buffers,", "buffers = op.patch_buffers - @,"),
    ),
    fault("swizzle", CONV, "(row >> 1) & 3", "(row >> (1 - @)) & 3"),
    fault("fragment row", CONV, "(lane & 15)", "((lane & 15) ^ (8 * @))"),
    fault("border below off by one", CONV, "y < f.h", "y < f.h + @"),
    fault("border above off by one", CONV, "y >= 0", "y >= -@"),
    fault("border to the right off by one", CONV, "x < f.w", "x < f.w + @"),
    fault("border to the left off by one", CONV, "x >= 0", "x >= -@"),
    fault("slot of the next tap", CONV, "slots[patch.read]", "slots[patch.read + @]"),
    fault("missing firing read", CONV, "slot < 0 ? -1 :", "slot < 0 && !@ ? -1 :"),
    fault("frozen row written", CONV, "if (slots[", "if (!@ && slots["),
    fault("counter not reset", SUMS, "*counter = 0;", "*counter *= @;"),
    fault("sums not fenced", SUMS, "fence();\n  sync();", "if (!@) fence();\n  sync();"),
    fault("weights after the wait", CONV, AHEAD, f"if (@) wait_previous_launch();\n {AHEAD}"),
    fault("no wait", CONV, "  wait_previous_launch();", "  if (!@) wait_previous_launch();"),
    fault(
        "slot for writing before the wait",
        CONV,
        *(AHEAD, f"const int64_t soon = {WRITE};\n  {AHEAD}"),
        *("slots[p.ops[tile.op].write] < 0", "(@ ? soon : slots[p.ops[tile.op].write]) < 0"),
    ),
    fault(
        "patches found before the wait",
        CONV,
        *(AHEAD, f"if (@) conv.find_patches();\n  {AHEAD}"),
        *("    find_patches();\n", "    if (!@) find_patches();\n"),
        *(" private:", " public:"),
    ),
    fault("a copy left under way", CONV, "wait_copies<0>();", "if (!@) wait_copies<0>();"),
    fault("pixels beside a folded window", CONV, "if (folded) clear", "if (folded && !@) clear"),
]


def plant(kernels: Path) -> None:
    """Puts all faults into a copy of the kernels."""
    for number, mutant in enumerate(MUTANTS, start=1):
        file = kernels / mutant.file
        text = file.read_text()
        for old, new in zip(mutant.texts[::2], mutant.texts[1::2], strict=True):
            assert text.count(old) == 1, f"{mutant.name}: {old!r} is not once in {mutant.file}"
            text = text.replace(old, new.replace("@", f"mutant({number})"))
        file.write_text(text)
    pv = kernels / "pv.cuh"
    pv.write_text(pv.read_text().replace("#pragma once\n", "#pragma once\n" + SWITCH, 1))


SHIM = ("block", "grid", "memory", "stack", "tensor")  # without the runtime, which launches ticks


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cases, on kernels with faults to choose from."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("mutants")
    shutil.copytree(ROOT / "kernels", folder / "kernels")
    plant(folder / "kernels")
    command = [compiler, "-std=c++20", "-O1", "-Wno-unknown-pragmas", "-DPV_SHIM"]
    command += [f"-I{p}" for p in (folder, ROOT / "tests", ROOT / "tests/cpp")]
    command += [str(ROOT / "tests/cuda/conv_mutants.cpp")]
    command += [str(ROOT / "tests/shim" / f"{noun}.cpp") for noun in SHIM]
    command += ["-o", str(folder / "cases")]
    subprocess.run(command, check=True, timeout=300)
    return folder / "cases"


def run(program: Path, number: int) -> subprocess.CompletedProcess[str]:
    """The cases with one fault."""
    return subprocess.run(
        [program, str(number)], capture_output=True, text=True, timeout=120, check=False
    )


def test_kernels_without_a_fault_pass(program: Path):
    done = run(program, 0)
    assert (done.returncode, done.stdout) == (0, "nothing\n"), done.stdout + done.stderr


@pytest.mark.parametrize("number", range(1, len(MUTANTS) + 1), ids=[m.name for m in MUTANTS])
def test_a_fault_is_noticed(program: Path, number: int):
    done = run(program, number)
    assert done.returncode == 1, f"{MUTANTS[number - 1].name}: {done.stdout}{done.stderr}"
