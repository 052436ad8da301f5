"""`pvnet trace`: the document that Perfetto opens, and the sums."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cli.conftest import SMALL
from pvnet.cli._common.chrome_trace import chrome_trace, utilisation
from pvnet.runtime.stream import TRACE_DTYPE

OPS = [
    {"node": "a", "op": "conv3d", "stage": 0, "tiles": 4},
    {"node": "b", "op": "conv3d", "stage": 1, "tiles": 2},
]


def _events() -> np.ndarray:
    rows = [  # tick, lane, op, lo, hi, begin_ns, end_ns, place
        (5, 0, 0, 0, 2, 1_000, 2_000, 0),
        (5, 1, 0, 2, 4, 1_000, 3_000, 0),
        (6, 0, 1, 0, 2, 5_000, 9_000, 0),
    ]
    return np.array(rows, dtype=TRACE_DTYPE)


def test_a_chrome_trace_has_an_event_per_tile_range_and_tick():
    document = chrome_trace(_events(), OPS, lanes=2, name="net")
    events = document["traceEvents"]
    assert {e["ph"] for e in events} == {"M", "X"}
    names = [e["args"]["name"] for e in events if e["ph"] == "M"]
    assert names == ["net", "lane 0", "lane 1", "ticks"]
    first = next(e for e in events if e["ph"] == "X")
    assert first["name"] == "a"
    assert (first["ts"], first["dur"], first["pid"], first["tid"]) == (0.0, 1.0, 0, 0)
    assert first["args"] == {"op": "conv3d", "stage": 0, "tick": 5, "tiles": "0-2 of 4"}
    ticks = [(e["name"], e["ts"], e["dur"]) for e in events if e.get("cat") == "tick"]
    assert ticks == [("tick 5", 0.0, 2.0), ("tick 6", 4.0, 4.0)]


def test_utilisation_is_the_busy_share_of_the_ticks_time():
    sums = utilisation(_events(), OPS, lanes=2)
    assert sums["ticks"] == 2
    assert sums["lane_utilisation"] == pytest.approx([5 / 6, 2 / 6])
    assert sums["stage_ms_per_tick"] == pytest.approx({"0": 1.5e-3, "1": 2e-3})
    assert sums["tick_ms"] == pytest.approx(3e-3)


def test_a_trace_without_events_has_names_and_no_work():
    document = chrome_trace(_events()[:0], OPS, lanes=1, name="net")
    assert all(e["ph"] == "M" for e in document["traceEvents"])
    assert utilisation(_events()[:0], OPS, lanes=1)["lane_utilisation"] == [0.0]


def _device_events() -> np.ndarray:
    rows = [  # a launch on cuda_stream 3, its four tiles on SM 0 and 7, one after another on SM 7
        (2, 3, 0, 0, 4, 1_000, 9_000, 1),
        (2, 0, 0, 0, 1, 1_000, 4_000, 2),
        (2, 7, 0, 1, 2, 1_000, 3_000, 2),
        (2, 7, 0, 2, 3, 2_000, 6_000, 2),
        (2, 7, 0, 3, 4, 7_000, 9_000, 2),
    ]
    return np.array(rows, dtype=TRACE_DTYPE)


def test_cuda_streams_and_sms_are_processes_of_their_own_beside_the_lanes():
    events = np.concatenate([_device_events(), _events()])
    document = chrome_trace(np.sort(events, order="begin_ns"), OPS, lanes=2, name="net")
    processes, threads = {}, {}
    for e in document["traceEvents"]:
        if e["name"] == "process_name":
            processes[e["pid"]] = e["args"]["name"]
        elif e["name"] == "thread_name":
            threads[e["pid"], e["tid"]] = e["args"]["name"]
    assert processes == {0: "net", 1: "net: cuda_streams", 2: "net: SMs"}
    shown = {}
    for e in document["traceEvents"]:
        if e["ph"] == "X":
            where = processes[e["pid"]], threads[e["pid"], e["tid"]]
            shown.setdefault(where, []).append((e["ts"], e["ts"] + e["dur"]))
    assert shown == {
        ("net", "lane 0"): [(0.0, 1.0), (4.0, 8.0)],
        ("net", "lane 1"): [(0.0, 2.0)],
        ("net", "ticks"): [(0.0, 8.0), (0.0, 2.0), (4.0, 8.0)],
        ("net: cuda_streams", "cuda_stream 3"): [(0.0, 8.0)],
        ("net: SMs", "SM 0"): [(0.0, 3.0)],
        ("net: SMs", "SM 7"): [(0.0, 2.0), (6.0, 8.0)],
        ("net: SMs", "SM 7, tile 2"): [(1.0, 5.0)],
    }


def test_an_sm_is_busy_while_it_has_a_tile():
    sums = utilisation(_device_events(), OPS, lanes=0)
    assert sums["sm_utilisation"] == pytest.approx({"0": 3 / 8, "7": 7 / 8})
    assert sums["lane_utilisation"] == []
    assert sums["stage_ms_per_tick"] == pytest.approx({"0": 8e-3, "1": 0.0})
    tiles = _device_events()[1:]
    assert utilisation(tiles, OPS, lanes=0)["stage_ms_per_tick"]["0"] == pytest.approx(11e-3)
    assert "sm_utilisation" not in utilisation(_events(), OPS, lanes=2)


@pytest.mark.parametrize("lanes", [1, 2])
def test_trace_of_a_network(pvnet_cli, tmp_path, lanes):
    out = tmp_path / "t.json"
    done = pvnet_cli(
        "trace", "--model", "par_densenet", *SMALL, "--stages", "3", "--ticks", "4",
        "--lanes", lanes, "--out", out, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    d = done.document
    assert (d["ticks"], d["lanes"]) == (4, lanes)
    assert len(d["lane_utilisation"]) == lanes
    assert set(d["stage_ms_per_tick"]) == {"0", "1", "2"}
    events = [e for e in json.loads(out.read_text())["traceEvents"] if e["ph"] == "X"]
    work = [e for e in events if e["cat"] != "tick"]
    assert len(work) == d["events"]
    assert {e["args"]["tick"] for e in work} == set(range(d["warm_ticks"], d["warm_ticks"] + 4))
    assert {e["args"]["stage"] for e in work} == {0, 1, 2}
    assert all(e["dur"] >= 0 and 0 <= e["tid"] < lanes for e in work)
    assert "block4/layer6/grow" in {e["name"] for e in work}


def test_nodes_that_are_not_due_do_no_work(pvnet_cli, tmp_path):
    out = tmp_path / "t.json"
    done = pvnet_cli(
        "trace", "--model", "par_inception", *SMALL, "--clocks", "i3d", "--ticks", "16",
        "--out", out, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    events = json.loads(out.read_text())["traceEvents"]
    ticks = {
        name: len({e["args"]["tick"] for e in events if e["name"] == name})
        for name in ("conv1a", "pool4a", "pool5a")
    }
    assert ticks == {"conv1a": 8, "pool4a": 4, "pool5a": 2}
