"""Old names of options do what the new ones do, and say so on stderr."""

from __future__ import annotations

import pytest

from pvnet.cli.__main__ import build_parser

DISTILL = ("distill", "a.toml", "--teacher", "teacher", "--out", "run")
EVAL = ("eval", "--data", "figures")
RENAMED = {"--fresh": (DISTILL, "--from-scratch"), "--skip-frames": (EVAL, "--subsample")}


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_option_means_the_new_one_and_says_so(old, capsys):
    words, new = RENAMED[old]
    expected = build_parser().parse_args([*words, new])
    assert capsys.readouterr().err == ""
    assert build_parser().parse_args([*words, old]) == expected
    assert expected != build_parser().parse_args(list(words))
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{old} is called {new} now" in told.err


@pytest.mark.parametrize("old", RENAMED)
def test_help_shows_the_new_name_only(old, capsys):
    words, new = RENAMED[old]
    with pytest.raises(SystemExit):
        build_parser().parse_args([words[0], "--help"])
    text = capsys.readouterr().out
    assert new in text
    assert old not in text


def test_dropping_damaged_frames_was_called_skipping_them(capsys):
    words = ("run", "a.mp4", "--damaged")
    assert build_parser().parse_args([*words, "skip"]).damaged == "drop"
    assert "--damaged skip is called --damaged drop now" in capsys.readouterr().err
