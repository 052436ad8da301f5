"""bench/catch_rates.py: records of games become tables; the committed ones are whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
RECORDS = sorted(BENCH.glob("results/*/catch/*.json"))


def score(rate: float, ahead: float) -> dict:
    own = {"rate": rate, "low": rate - 0.01, "high": rate + 0.01, "speed_px_per_tick": 2.0}
    apart = {"difference": ahead, "low": ahead - 0.02, "high": ahead + 0.02}
    return {**own, "predictive_minus_this": apart}


def test_tables_have_rates_and_what_predictive_is_ahead():
    import catch_rates

    rows = [
        {"title": title, "period_ms": 1.5, "delay_ms": 3.25, "scores": [score(rate, ahead)]}
        for title, rate, ahead in (("frame by frame", 0.5, 0.25), ("predictive", 0.75, 0.0))
    ]
    text = catch_rates.table_of({"rows": rows})
    assert "| row | a frame every, ms | answer after, ms | 2 px |" in text
    assert "| frame by frame | 1.50 | 3.25 | 0.500 (0.490 to 0.510) |" in text
    assert "| frame by frame | +0.250 (+0.230 to +0.270) |" in text
    assert text.count("| predictive |") == 1  # it is not compared with itself
    faster = [row | {"scores": [score(0.125, 0.5) | {"speed_px_per_tick": 8.0}]} for row in rows]
    text = catch_rates.table_of(catch_rates.joined([{"rows": rows}, {"rows": faster}]))
    assert "| row | a frame every, ms | answer after, ms | 2 px | 8 px |" in text
    assert "| 0.500 (0.490 to 0.510) | 0.125 (0.115 to 0.135) |" in text


def test_a_record_names_what_made_it():
    import catch_rates

    record = catch_rates.record_of({"rows": [], "files": {"video": "x"}}, ["--throws", "3"])
    assert record["command"] == "pvnet demo catch --throws 3"
    assert record["commit"]
    assert record["machine"]["cpus"] >= 1
    assert "files" not in record


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_committed_records_are_of_their_setting(path):
    import catch_rates

    record = json.loads(path.read_text())
    words = catch_rates.settings()[path.stem]
    assert record["command"] == " ".join(["pvnet demo catch", *words])
    assert record["throws"] == int(words[words.index("--throws") + 1])
    assert record["lanes_simulated"] == ("--lanes-simulated" in words)
    assert record["frozen"] == ("--frozen" in words)
    assert catch_rates.table_of(record).count("\n") == 2 + 4 + 1 + 2 + 3 - 1
