"""What this installation is and what this machine offers."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from typing import Any

from pvnet import _core


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cpu_of(cpuinfo: str) -> str:
    """The first CPU of /proc/cpuinfo: its name, and the numbers that tell its generation.

    Hosts give their guests names such as "AMD EPYC", whatever the core is.
    """
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or facts.get("Model") or ""
    numbers = [
        f"{word} {facts[key]}"
        for key, word in (
            ("cpu family", "family"),
            ("model", "model"),
            ("CPU implementer", "implementer"),
            ("CPU part", "part"),
        )
        if facts.get(key)
    ]
    return " ".join([name, f"({', '.join(numbers)})"] if numbers else [name]).strip()


def cpu_name() -> str:
    """As the system calls it, with its generation."""
    try:
        with open("/proc/cpuinfo") as f:  # noqa: PTH123 (a kernel file, not a path of ours)
            found = cpu_of(f.read())
    except OSError:
        found = ""
    return found or platform.processor() or platform.machine()


def info() -> dict[str, Any]:
    """Versions, backends, instruction sets and CPU, for reports and benchmark records."""
    return {
        "pvnet": _core.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpus": _core.usable_cpus(),
        "nvtx": _core.nvtx_built(),
        "byte_order": sys.byteorder,
        "backends": json.loads(_core.describe_backends()),
        "packages": {p: _version(p) for p in ("numpy", "torch", "av", "matplotlib", "cupy")},
        "environment": {k: v for k, v in os.environ.items() if k.startswith("PVNET_")},
    }
