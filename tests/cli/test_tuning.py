"""--tune and info --tuning."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PVNET_TUNING_DIR", str(tmp_path / "tuned"))
    return tmp_path / "tuned"


RUN = ("run", "synthetic", "--model", "par_densenet", "--weights", "random", "--width", "0.125")


def test_a_run_is_tuned_once_and_info_tells_what_was_found(pvnet_cli, folder):
    nothing = pvnet_cli("info", "--tuning")
    assert nothing.code == 0
    assert "0 entries" in nothing.words
    for _ in range(2):
        done = pvnet_cli(*RUN, "--size", "32", "--max-frames", "2", "--tune", "full")
        assert done.code == 0, done.err
    told = pvnet_cli("info", "--tuning", "--json").document
    assert told["file"] == str(folder / "tuning.json")
    entries = list(told["entries"].values())
    assert len(entries) == 2
    assert sum("algorithms" in e for e in entries) == 1
    assert sum("lanes" in e for e in entries) == 1
    text = pvnet_cli("info", "--tuning").words
    assert "2 entries" in text
    assert "ms a tick" in text
    assert "lanes:" in text


def test_info_tells_of_damage(pvnet_cli, folder):
    folder.mkdir()
    (folder / "tuning.json").write_text('{"format": 1, "entries": {"abc": 3}}')
    assert "damaged: measured anew" in pvnet_cli("info", "--tuning").words


def test_an_effort_that_is_none_is_bad_usage(pvnet_cli):
    assert pvnet_cli(*RUN, "--tune", "slow").code == 2
