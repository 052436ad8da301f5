from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from pvnet.train.memory import keep_freed_memory
    assert keep_freed_memory()
def step():
    a = [np.ones(2_000_000) for _ in range(4)]
    return sum(float(x[0]) for x in a)
step(), step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    assert step() == 4
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in " ".join(__import__("platform").libc_ver()), reason="glibc only")
def test_freed_memory_is_used_again_without_new_pages():
    faults = {}
    for how in ("usual", "keep"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
        )
        faults[how] = int(done.stdout)
    assert faults["keep"] * 20 < faults["usual"]
