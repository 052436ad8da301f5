"""`pytest -m gpu`: shapes against float64, the contract, the bits of the shim."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from gpu.record import Record, program

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests/cuda", "tests/workshop")
PROCESSES = "4"
SHOWN = 10  # failures by name


def body(record: Record, dry: bool) -> None:
    """In the dry run the tests are only collected: without a device they would be left out."""
    report = record.path.with_suffix(".xml").resolve()
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *FOLDERS]
    # What other versions of packages warn of is no fault of the device.
    argv += ["-W", "default"]
    if importlib.util.find_spec("xdist"):
        argv += ["-n", "0" if dry else PROCESSES]
    argv += ["--collect-only"] if dry else [f"--junitxml={report}", "--timeout=60"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=dry, text=True, check=False)
    if dry:
        collected = [line for line in done.stdout.splitlines() if "::" in line]
        record.add(collected=len(collected), right=done.returncode == 0 and bool(collected))
        return
    suite = ElementTree.parse(report).getroot().find("testsuite")
    counts = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    record.add(**counts, right=done.returncode == 0 and counts["skipped"] < counts["tests"])
    bad = [
        c
        for c in suite.iter("testcase")
        if c.find("failure") is not None or c.find("error") is not None
    ]
    for case in bad[:SHOWN]:
        why = case.find("failure") if case.find("failure") is not None else case.find("error")
        record.add(test=case.get("name"), error=(why.get("message") or "")[:200])


if __name__ == "__main__":
    program("tests", body)
