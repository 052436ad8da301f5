"""What a shell is told when somebody presses Tab; argcomplete is optional."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.fixture
def completed(tmp_path):
    """Completions of a command line that ends where the cursor is."""
    pytest.importorskip("argcomplete")

    def complete(line: str) -> set[str]:
        out = tmp_path / "out"
        env = {
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        command = [sys.executable, "-m", "pvnet"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return {word.strip() for word in out.read_text().split("\n") if word}

    return complete


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pvnet de", {"demo", "describe"}),
        ("pvnet run synthetic --wiring p", {"pipelined", "predictive"}),
        ("pvnet bench --pict", {"--picture"}),
    ],
)
def test_commands_options_and_choices_are_completed(completed, line, words):
    assert completed(line) == words


def test_without_argcomplete_the_command_line_runs(monkeypatch, pvnet_cli):
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert pvnet_cli("--version").code == 0
