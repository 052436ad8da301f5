"""What this machine is, for every record; of the standard library alone."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from typing import Any

_QUERY = (
    "name",
    "driver_version",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "power.draw",
    "temperature.gpu",
)


def output(argv: list[str], seconds: float = 10) -> str:
    """What a short program prints; "" where it is missing or fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def smi() -> dict[str, str]:
    """The card as nvidia-smi sees it now; {} without one. Nothing of it is changed."""
    line = output(
        ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    )
    cells = [cell.strip() for cell in line.partition("\n")[0].split(",")]
    return dict(zip(_QUERY, cells)) if len(cells) == len(_QUERY) else {}


def clocks() -> dict[str, Any]:
    """MHz, watts and degrees at this moment; {} without a card."""
    found = smi()
    names = {
        "clocks.sm": "sm_mhz",
        "clocks.mem": "memory_mhz",
        "clocks.max.sm": "max_sm_mhz",
        "power.draw": "watts",
        "temperature.gpu": "celsius",
    }
    return {new: _number(found[old]) for old, new in names.items() if old in found}


def facts() -> dict[str, Any]:
    """Of the machine and the source; the clocks and the matrix rate come with each record."""
    found = smi()
    return {
        "card": found.get("name"),
        "driver": found.get("driver_version"),
        "commit": commit(),
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """Of the source, with a plus where it has been changed; PVNET_COMMIT where git is missing."""
    found = output(["git", "rev-parse", "--short=12", "HEAD"])
    if not found:
        return os.environ.get("PVNET_COMMIT")
    return found + ("+" if output(["git", "status", "--porcelain", "-uno"]) else "")


def folder(card: str | None) -> str:
    """The name of a card in a path: "NVIDIA H100 80GB HBM3" -> "h100-80gb-hbm3"."""
    words = re.sub(r"[^a-z0-9]+", "-", (card or "no card").lower().replace("nvidia", ""))
    return words.strip("-")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 (a kernel file)
            names = [
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
