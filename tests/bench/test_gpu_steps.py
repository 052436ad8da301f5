"""The steps as on a device, at a small size: the CPU works, events are those of a clock."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


class Event:
    """Of torch.cuda, by the wall clock."""

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end: Event) -> float:
        return 1e3 * (end.at - self.at)


class NoStream:
    """A cuda_stream, and what makes it the current one."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Small networks on the CPU, which every step takes for a device."""
    from gpu import networks

    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "Stream", NoStream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    target = networks.Target("cpu", None, (), ("f32",), real=True, size=32, width=0.125)
    monkeypatch.setattr(networks, "target", lambda dry: target)
    return target


def rows_of(step: Any, name: str, folder: Path) -> list[dict]:
    from gpu import record

    made = record.Record.begin(folder / f"{name}.json", name, dry=False)
    step.body(made, False)
    made.end()
    assert record.right(made.data), made.data["rows"]
    return made.data["rows"]


def test_own_networks_have_every_cut(device: Any, tmp_path: Path) -> None:
    from gpu import own

    rows = rows_of(own, "own", tmp_path)
    assert [row["net"] for row in rows] == [f"{name} {stages}" for name, stages in own.CASES]
    assert all(row["way"] == "device" and row["cpu_us"] > 0 for row in rows)


def test_a_wrong_executor_is_found(device: Any, tmp_path: Path, monkeypatch) -> None:
    from gpu import networks, own, record

    def play(plan: Any, frames: np.ndarray, ticks: int) -> list[np.ndarray]:
        outputs = right(plan, frames, ticks)
        if plan.graph.wiring == "pipelined":
            outputs[-1][0, 0] += 1e-6
        return outputs

    right = networks.play
    monkeypatch.setattr(networks, "play", play)
    made = record.Record.begin(tmp_path / "own.json", "own", dry=False)
    wanted = own.Wanted(device, 8)
    for case in (("par_inception", 3), ("par_inception", 1)):
        own.measure(made, device, case, "f32", wanted)
    assert [row["right"] for row in made.data["rows"]] == [False, True]
    assert made.data["rows"][0]["other_bits"] == "cpu"


def test_depth_is_measured_against_one_stage(device: Any, tmp_path: Path, monkeypatch) -> None:
    from gpu import depth

    monkeypatch.setattr(depth, "DEPTHS", (3, 12))
    monkeypatch.setattr(depth, "LAYERS", ((8, 8), (16, 8)))
    monkeypatch.setattr(depth, "SECOND_DEPTHS", (4,))
    rows = rows_of(depth, "depth", tmp_path)
    assert [(row["depth"], row["channels"]) for row in rows] == [(3, 8), (12, 8), (4, 16)]
    assert [row["later_ticks"] for row in rows] == [2, 11, 3]


def test_rows_and_streams_know_the_rate_of_the_card(device: Any, tmp_path: Path) -> None:
    from gpu import record, rows

    card = record.Record.begin(tmp_path / "card.json", "card", dry=False)
    card.add(bf16_tflops=790.0)
    found = rows_of(rows, "rows", tmp_path)
    assert {(row["streams"], row["rows"]) for row in found} == {(1, 1), (1, 8), (1, 64), (2, 1)}
    for row in found:
        assert row["share_of_card"] == pytest.approx(row["tflops"] / 790.0)


def test_latency_clocks_and_pictures(device: Any, tmp_path: Path) -> None:
    from gpu import clocks, latency, pictures

    for row in rows_of(latency, "latency", tmp_path):
        assert row["ticks"] == latency.TICKS
        assert row["p50_us"] <= row["p99_us"] <= row["max_us"]
    assert {r["hyper_period"] for r in rows_of(clocks, "clocks", tmp_path)} == {1, 8, 16}
    rows = rows_of(pictures, "pictures", tmp_path)
    cuts = sum(len(cuts) for cuts in pictures.STAGES.values())
    assert len(rows) == cuts + 2
    assert all(0 < row["busy_share"] <= 1 for row in rows[cuts:])
    assert (tmp_path / "speed_up.png").is_file()
    assert (tmp_path / "busy_sms.png").is_file()


def test_busy_units_are_counted() -> None:
    from gpu import pictures

    from pvnet.runtime.stream import TRACE_DTYPE

    events = np.zeros(3, TRACE_DTYPE)
    events["tick"] = (4, 5, 5)
    events["lane"] = (2, 0, 1)
    events["begin_ns"] = (0, 1000, 1500)
    events["end_ns"] = (900, 2000, 3000)
    us, count, share = pictures.busy(events)
    assert us[-1] == pytest.approx(2.0, abs=0.01)
    assert [count[np.searchsorted(us, t)] for t in (0.2, 0.7, 1.5)] == [1, 2, 1]
    assert share == pytest.approx((1 + 1.5) / (2 * 3), abs=0.01)


def test_small_cases_of_the_sanitizer_run(device: Any) -> None:
    from gpu import sanitizer, small_cases

    where = small_cases.small(False)
    assert len(small_cases.CASES) == sanitizer.CASES
    assert all(small_cases.run(where, number) for number in range(sanitizer.CASES))
