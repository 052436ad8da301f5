"""Builds and installs pvnet from this source, without network."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from gpu.record import Record, program

ROOT = Path(__file__).resolve().parents[2]
INSTALL = [
    "-m",
    "pip",
    "--disable-pip-version-check",
    "install",
    "--no-build-isolation",
    "--no-deps",
]
INFO = "import json, pvnet; print(json.dumps(pvnet.info()['backends']))"


def body(record: Record, dry: bool) -> None:
    """In the dry run pip stops before the installation: it asks the build for its facts alone."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *INSTALL, *["--dry-run"] * dry, str(ROOT)], check=True)
    seconds = time.perf_counter() - begin
    out = subprocess.run([sys.executable, "-c", INFO], capture_output=True, text=True, check=True)
    record.add(seconds=seconds, installed=not dry)
    for entry in json.loads(out.stdout):
        if entry["name"] == "cuda":
            usable = entry["available"]
            record.add(isa=entry["isa"], available=usable, why=entry["why"][:200])
    if not dry and not any(row.get("available") for row in record.data["rows"]):
        raise SystemExit("the build has no CUDA backend that works here")


if __name__ == "__main__":
    program("build", body)
