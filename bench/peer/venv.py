"""The virtual environment of the peers, in build/: what they need never touches pvnet's own.

The standard library is all that this file takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "peers-venv"
TORCH = "torch==2.13.0"
# One call of pip each: what fails leaves the others in place. An open requirement of torch would
# take the newest one with all of CUDA, so those that have one come without what they require.
STEPS: dict[str, tuple[str, ...]] = {
    "torch": (TORCH, "numpy>=1.26", "onnx>=1.18"),
    "onnxruntime": ("onnxruntime>=1.22",),
    "openvino": ("openvino>=2025.0",),
    "nncf": ("nncf>=3.0",),
    "torchvision": ("--no-deps", "torchvision==0.28.0"),
    "pillow": ("pillow",),  # torchvision imports it
    "continual-inference": ("--no-deps", "continual-inference==1.2.4"),
    "mediapipe": ("mediapipe",),
}


def python() -> Path | None:
    """The interpreter of the environment; None where there is no environment."""
    path = HOME / "bin" / "python"
    return path if path.exists() else None


def make() -> list[str]:
    """Makes the environment and installs what is missing.

    Returns:
        A line for every package that could not be installed.
    """
    if python() is None:
        venv.EnvBuilder(with_pip=True).create(HOME)
    there = versions()
    failed = []
    for name, arguments in STEPS.items():
        if name in there:
            continue
        print(f"installing {' '.join(arguments)}", file=sys.stderr)
        command = [str(python()), "-m", "pip", "install", "-q", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip() or f"pip gave {done.returncode}").splitlines()[-1]
            failed.append(f"{name}: {last}")
    return failed


def versions() -> dict[str, str]:
    """The peers that are installed, by name; {} without an environment."""
    interpreter = python()
    if interpreter is None:
        return {}
    code = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    command = [str(interpreter), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {name: found[name] for name in STEPS if name in found}


def lend() -> bool:
    """Makes the peers importable in this process, after its own packages; False without them."""
    interpreter = python()
    if interpreter is None:
        return False
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = HOME / "lib" / version / "site-packages"
    if packages.is_dir() and str(packages) not in sys.path:
        sys.path.append(str(packages))
    return packages.is_dir()
