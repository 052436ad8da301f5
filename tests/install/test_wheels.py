"""Which Pythons wheels are built for, and which the project says it runs on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_wheels_are_built_for_every_python_that_is_named():
    built = {re.sub(r"cp3(\d+)-\*", r"3.\1", b) for b in SETTINGS["tool"]["cibuildwheel"]["build"]}
    project = SETTINGS["project"]
    named = {c.rpartition(" ")[2] for c in project["classifiers"] if ":: Python :: 3." in c}
    assert named <= built
    oldest = min(built, key=lambda version: int(version[2:]))
    assert project["requires-python"] == f">={oldest}"


def test_wheels_are_built_for_both_processors_on_one_image():
    linux = SETTINGS["tool"]["cibuildwheel"]["linux"]
    images = {linux[f"manylinux-{processor}-image"] for processor in linux["archs"]}
    assert set(linux["archs"]) == {"x86_64", "aarch64"}
    assert len(images) == 1
