"""Every ```python block of the README and of docs/ runs, the blocks of a page one after another.

`<!-- no-run: reason -->` on a line before a block leaves it out. A ```text block after one,
which "It prints:" introduces, is what it must print.
"""

from __future__ import annotations

import re

import pytest
from pages import ROOT

BLOCK = re.compile(
    r"(?P<mark><!-- no-run: [^\n]+ -->\s*\n)?```python\n(?P<code>.*?)```"
    r"(?:\n\nIt prints:\n\n```text\n(?P<printed>.*?)```)?",
    re.DOTALL,
)
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    if "```python" in page.read_text()
)


def test_pages_are_found():
    assert {"README.md", "docs/depth_parallel.md", "docs/add_a_layer.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PVNET_TUNING_DIR", str(tmp_path))
    text = (ROOT / page).read_text()
    namespace = {"__name__": "page"}
    for block in BLOCK.finditer(text):
        if block["mark"]:
            continue
        # Empty lines in front: a traceback shows the line of the page.
        line = text.count("\n", 0, block.start("code"))
        exec(compile("\n" * line + block["code"], page, "exec"), namespace)
        printed = capsys.readouterr().out
        if block["printed"] is not None:
            assert printed == block["printed"]


def test_the_output_of_the_readme_is_found():
    blocks = BLOCK.finditer((ROOT / "README.md").read_text())
    assert [block["printed"] is not None for block in blocks] == [True]
