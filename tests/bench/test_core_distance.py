"""bench/core_distance.py: where a turn counts, and a record of small networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("distances", "side"),
    [
        ((27.0, 31.0), "near"),
        ((160.0, 158.0), "far"),
        ((27.0, 160.0), None),
        ((27.0, None), None),
        ((None, None), None),
    ],
)
def test_turns_count_where_both_distances_lie(
    distances: tuple[float | None, ...], side: str | None
) -> None:
    import core_distance

    assert core_distance.side_of(distances) == side


def test_a_record_has_every_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import core_distance

    out = tmp_path / "found.json"
    core_distance.main(["--dry", "--rounds", "1", "--seconds", "0", "--out", str(out)])
    assert "MoveNet Lightning" in capsys.readouterr().out
    record = json.loads(out.read_text())
    ways = {"sequential, 1 lane", "sequential, 2 lanes", "predictive, 2 lanes"}
    for name in ("MoveNet Lightning", "Par-Inception temporal=1", "Par-DenseNet"):
        rows = [row for row in record["rows"] if row["network"] == name]
        assert {row["way"] for row in rows} == ways
        for row in rows:
            assert row["near_turns"] + row["far_turns"] <= 1
            for side in ("near", "far"):
                assert (row[f"{side}_ms"] is None) == (row[f"{side}_turns"] == 0)
