"""`pvnet bench`: cases, checks before timing, record, picture."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from cli.conftest import SMALL
from pvnet import models
from pvnet.cli._bench.cases import check_cases, make_cases
from pvnet.cli._common.network_choice import Choice
from pvnet.cli._common.sources import probe_frames
from pvnet.cli.bench import _refuse_wrong
from pvnet.errors import InternalError
from pvnet.evaluate.rivals import state_reasons
from pvnet.models.random_weights import random_weights
from pvnet.runtime.machine import (
    core_to_core_ns,
    cores_at_once,
    cpus_allowed,
    peak_gflops,
)

QUICK = ("--ticks", "2", "--rounds", "2", "--lanes", "1,2", "--stages", "1,3")


def test_bench_of_a_network_without_state(pvnet_cli, tmp_path):
    pytest.importorskip("matplotlib")
    record, picture = tmp_path / "b.json", tmp_path / "b.png"
    done = pvnet_cli(
        "bench", "--model", "par_densenet", *SMALL, *QUICK, "--out", record, "--picture", picture,
        "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    d = done.document
    cases = [(r["case"], r["stages"], r["lanes"]) for r in d["rows"]]
    assert cases == [
        ("sequential", 1, 1),
        ("sequential", 1, 2),
        ("round-robin", 1, 2),
        ("pipelined", 3, 1),
        ("pipelined", 3, 2),
        ("predictive", 3, 1),
        ("predictive", 3, 2),
    ]
    assert d["rows"][0]["speed_up"] == 1
    for row in d["rows"]:
        assert row["max_difference"] <= 1e-4
        assert row["throughput_ticks_per_s"] > 0
        assert row["computational_latency_p50_ms"] > 0
    assert d["rows"][3]["information_latency_ticks"] == 2
    assert d["machine"]["pvnet"]
    assert d["peak"]["gflops"] > 0
    assert json.loads(record.read_text()) == d
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bench_in_bf16(pvnet_cli):
    words = ("--dtype", "bf16", "--lanes", "1,2", "--stages", "3", "--rounds", "1", "--ticks", "1")
    done = pvnet_cli("bench", "--model", "par_densenet", *SMALL, *words, "--json")
    assert done.code == 0, done.err
    assert done.document["dtype"] == "bf16"
    # Pipelined is the sequential network within the dtype, bit for bit.
    assert all(row["max_difference"] == 0 for row in done.document["rows"])


def test_bench_says_when_round_robin_is_impossible(pvnet_cli):
    done = pvnet_cli("bench", "--model", "par_inception", *SMALL, *QUICK)
    assert done.code == 0, done.err
    assert "n/a (has state" in done.words
    assert "random weights" in done.words
    assert "peak" in done.words


def test_nodes_that_remember_earlier_frames_are_listed():
    assert state_reasons(models.build("par_densenet", width=0.125, size=32)) == []
    temporal = models.build("par_densenet", width=0.125, size=32, temporal=3)
    assert any("grow" in reason for reason in state_reasons(temporal))
    halving = models.build(
        "par_inception", width=0.125, size=32, temporal=1, window=1, clocks="halving"
    )
    assert state_reasons(halving)


def _choice(name: str, **config) -> Choice:
    graph = models.build(name, width=0.125, size=32, **config)
    return Choice(graph, random_weights(graph), {}, name, random=True)


@pytest.mark.parametrize("config", [{}, {"clocks": "i3d"}])
def test_checks_compare_with_the_shifted_sequential(config):
    choice = _choice("par_inception", **config)
    cases = make_cases(choice, stages=[2, 5], lanes=[1, 2], backend="cpu")
    records = check_cases(cases, probe_frames(cases[0].plan, n=8))
    assert all(r["max_difference"] <= 1e-5 * max(1, r["scale"]) for r in records)
    assert any(r["against"].endswith("t - 4") for r in records)
    assert all(r["scale"] > 0 for r in records)


def test_check_notices_wrong_results():
    choice = _choice("par_densenet")
    cases = make_cases(choice, stages=[2], lanes=[1], backend="cpu")
    other = Choice(choice.graph, random_weights(choice.graph, seed=9), {}, "other", random=True)
    cases[1] = make_cases(other, stages=[2], lanes=[1], backend="cpu")[1]
    records = check_cases(cases, probe_frames(cases[0].plan, n=8))
    with pytest.raises(InternalError, match="pipelined"):
        _refuse_wrong(records)


def test_not_a_number_is_refused():
    record = {
        "case": "pipelined",
        "stages": 2,
        "lanes": 1,
        "against": "x",
        "max_difference": float("nan"),
        "scale": 1.0,
    }
    with pytest.raises(InternalError):
        _refuse_wrong([record])


def test_peak_names_its_probe():
    peak = peak_gflops()
    assert peak["gflops"] > 0
    assert peak["probe"] == "fma" or "sgemm" in peak["probe"]
    assert np.isfinite(peak["gflops"])


def test_one_core_at_once_is_one():
    assert cores_at_once(1) == 1.0
    assert 0 < cores_at_once(2, rounds=2) < 4


def test_cores_are_some_nanoseconds_apart():
    before = os.sched_getaffinity(0)
    for _ in range(20):
        found = core_to_core_ns()
        assert found is None or 1 < found < 1e6
    assert os.sched_getaffinity(0) == before
    assert cpus_allowed() > 1 or found is None
