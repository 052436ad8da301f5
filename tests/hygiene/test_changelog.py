"""The changelog: Keep a Changelog's form, and one version everywhere."""

from __future__ import annotations

import re
from datetime import date

import pytest
from pages import ROOT

GROUPS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Performance"]
VERSION = (ROOT / "VERSION").read_text().strip()
HEADING = re.compile(r"## \[(?P<name>[^\]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?")


def faults(text: str) -> list[str]:
    """What of a changelog is not in form."""
    found = []
    names, dates, groups = [], [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("## "):
            match = HEADING.fullmatch(line)
            if match is None:
                found.append(f"{number}: no version: {line}")
                continue
            names.append(match["name"])
            groups = []
            if (match["name"] == "Unreleased") == (match["date"] is not None):
                found.append(f"{number}: a version has a date, Unreleased has none: {line}")
            if match["date"]:
                dates.append(date.fromisoformat(match["date"]))
        elif line.startswith("### "):
            groups.append(line[4:])
            if line[4:] not in GROUPS:
                found.append(f"{number}: no group: {line}")
            elif groups != [g for g in GROUPS if g in groups]:
                found.append(f"{number}: twice, or out of order: {line}")
    if names[:1] != ["Unreleased"]:
        found.append("1: Unreleased is not on top")
    if dates != sorted(dates, reverse=True) or len(names) != len(set(names)):
        found.append("1: versions are not newest first, each once")
    return found


def test_the_changelog_is_in_form():
    assert faults((ROOT / "CHANGELOG.md").read_text()) == []


GOOD = "## [Unreleased]\n\n## [0.2.0] - 2026-11-28\n### Added\n- a\n### Fixed\n- b\n"
BAD = {
    "a group of its own": GOOD.replace("Fixed", "Mended"),
    "groups out of order": GOOD.replace("Added", "Performance"),
    "a group twice": GOOD.replace("Fixed", "Added"),
    "no date": GOOD.replace(" - 2026-11-28", ""),
    "no brackets": GOOD.replace("[0.2.0]", "0.2.0"),
    "nothing unreleased": GOOD.replace("## [Unreleased]\n", ""),
    "a dated Unreleased": GOOD.replace("[Unreleased]", "[Unreleased] - 2026-11-29"),
    "an older version on top": GOOD + "## [0.3.0] - 2026-12-01\n",
    "a version twice": GOOD + "## [0.2.0] - 2026-11-28\n",
}


def test_a_good_changelog_passes():
    assert faults(GOOD) == []


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_changelog_out_of_form_is_found(text):
    assert len(faults(text)) >= 1


def test_the_newest_version_is_that_of_the_program():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = [m["name"] for m in HEADING.finditer(text) if m["name"] != "Unreleased"]
    assert versions[0] == VERSION


def test_files_that_name_the_version_name_this_one():
    header = (ROOT / "csrc" / "include" / "pvnet" / "pvnet.h").read_text()
    assert re.findall(r'/\* "(\d+\.\d+\.\d+)" \*/', header) == [VERSION]
    users = ["examples/embed_c/CMakeLists.txt", "tests/cpp/embed/CMakeLists.txt", "docs/c_api.md"]
    asked = [
        re.findall(r"find_package\(pvnet ([\d.]+)", (ROOT / user).read_text()) for user in users
    ]
    # The package takes programs of the same minor version.
    assert asked == [[VERSION.rpartition(".")[0]]] * len(users)
