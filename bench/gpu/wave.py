"""Nsight Compute on one wave: what binds, tensor cores, L2 or launches."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys

from gpu.record import Record, program

SECTIONS = ("SpeedOfLight", "LaunchStats", "Occupancy", "MemoryWorkloadAnalysis")
TENSOR = "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active"
METRICS = (
    "Duration",
    "Compute (SM) Throughput",
    "Memory Throughput",
    "L2 Cache Throughput",
    "L1/TEX Cache Throughput",
    "DRAM Throughput",
    "L2 Hit Rate",
    "Achieved Occupancy",
    "Grid Size",
    "Registers Per Thread",
    TENSOR,
)
# Launches of the first ticks: begin, some waves, end.
SKIP, COUNT = 12, 4
PLACES = ("/usr/local/cuda/bin/ncu", "/opt/nvidia/nsight-compute/ncu")


def body(record: Record, dry: bool) -> None:
    ticks = [sys.executable, "-m", "gpu.one_wave", *["--dry"] * dry]
    ncu = shutil.which("ncu") or next(filter(shutil.which, PLACES), None)
    if dry or ncu is None:
        record.note("the ticks ran without Nsight Compute" + ("" if dry else ": it is missing"))
        done = subprocess.run(ticks, check=False)
        record.add(kernel="none", right=done.returncode == 0)
        return
    # The clocks stay as they are: the card may be shared.
    argv = [
        ncu,
        "--csv",
        "--clock-control",
        "none",
        "--launch-skip",
        str(SKIP),
        "--launch-count",
        str(COUNT),
    ]
    argv += [word for section in SECTIONS for word in ("--section", section)]
    rows: list[dict[str, str]] = []
    for more in (["--metrics", TENSOR], []):  # without it where this card has no such counter
        done = subprocess.run([*argv, *more, *ticks], capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr)
        rows = rows or parse(done.stdout)
        if rows:
            break
    for row in rows:
        record.add(**row)
    if not rows:
        raise SystemExit("Nsight Compute has shown no kernel")


def parse(text: str) -> list[dict[str, str]]:
    """A row a launch, of the lines of CSV between other output."""
    lines = [line for line in text.splitlines() if line.startswith('"')]
    launches: dict[str, dict[str, str]] = {}
    for line in csv.DictReader(lines):
        if line.get("Metric Name") not in METRICS:
            continue
        row = launches.setdefault(line["ID"], {"kernel": line["Kernel Name"].partition("(")[0]})
        unit = f" {line['Metric Unit']}" if line["Metric Unit"] else ""
        row[line["Metric Name"].partition(".")[0]] = line["Metric Value"] + unit
    return list(launches.values())


if __name__ == "__main__":
    program("wave", body)
