"""What launches cost: compiles launch_costs.cu and runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from gpu import machine
from gpu.record import Record, program

SOURCE = Path(__file__).with_name("launch_costs.cu")


def body(record: Record, dry: bool) -> None:
    nvcc = shutil.which(os.environ.get("NVCC", "nvcc")) or shutil.which("/usr/local/cuda/bin/nvcc")
    if nvcc is None:
        record.note("no nvcc: not compiled, not measured")
        if not dry:
            raise SystemExit("nvcc is missing")
        return
    binary = record.path.with_suffix(".bin")
    capability = machine.output(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"])
    number = capability.partition("\n")[0].replace(".", "") or "90"
    target = f"-gencode=arch=compute_{number},code=sm_{number}"
    subprocess.run([nvcc, "-std=c++17", "-O2", target, "-o", binary, SOURCE], check=True)
    if dry:
        record.note("compiled; nothing was measured")
        return
    done = subprocess.run([binary.resolve()], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        record.add(**json.loads(line))
    if done.returncode != 0:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    program("launch", body)
