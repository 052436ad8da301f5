"""Pages: links lead somewhere, words are those of the glossary, commands are those there are."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from pages import ROOT, files

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# Word -> what to write instead.
WORDS = {
    r"\bsub-?networks?\b": "stage",
    r"\btime-?steps?\b": "tick",
    r"(?<!information )(?<!computational )(?<!prediction )\blatency\b": "say which latency",
}
MAY = {"docs/glossary.md"}  # it explains the words of others
PAGES = [p.relative_to(ROOT).as_posix() for p in files(".md")]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    broken = []
    for target in LINK.findall(CODE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        if not (path.parent / target.partition("#")[0]).exists():
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", [p for p in PAGES if p not in MAY])
def test_words_are_those_of_the_glossary(page):
    text = CODE.sub("", (ROOT / page).read_text())
    text = re.sub(r'"[^"\n]*"', "", text)  # quotations
    found = [
        f"{match[0]!r}: {instead}"
        for word, instead in WORDS.items()
        for match in re.finditer(word, " ".join(text.split()), re.IGNORECASE)
    ]
    assert not found


def test_the_page_of_the_command_line_lists_the_commands():
    done = subprocess.run(
        [sys.executable, "-m", "pvnet.cli", "--help"], capture_output=True, text=True, check=True
    )
    listed = set(re.findall(r"^    (\w+)(?:  |$)", done.stdout, re.MULTILINE))
    text = (ROOT / "docs" / "cli.md").read_text()
    table = set(re.findall(r"^\| `pvnet (\w+)", text, re.MULTILINE))
    assert listed
    assert table == listed


def test_pictures_of_the_docs_are_small_and_used():
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    pages = (ROOT / "README.md", ROOT / "docs" / "depth_parallel.md")
    text = "".join(page.read_text() for page in pages)
    assert pictures
    assert [p.name for p in pictures if f"pictures/{p.name}" not in text] == []
    assert [p.name for p in pictures if p.stat().st_size > 200_000] == []


def test_pictures_of_the_docs_are_drawn_by_the_tool(tmp_path):
    pytest.importorskip("matplotlib")
    tool = ROOT / "tools" / "draw_docs.py"
    subprocess.run([sys.executable, str(tool), str(tmp_path)], check=True, capture_output=True)
    drawn = {p.name for p in tmp_path.iterdir()}
    assert drawn == {p.name for p in (ROOT / "docs" / "pictures").iterdir()}
    # The pictures by matplotlib differ from version to version; this one is the program's alone.
    idea = "idea.svg"
    assert (tmp_path / idea).read_bytes() == (ROOT / "docs" / "pictures" / idea).read_bytes()
