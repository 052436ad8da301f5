"""Tuning: what is measured is taken, kept and shared, and never changes by itself."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import Options, cuts_of, random_clip, run
from contract import verify_stream_contract as verify
from tuning_processes import KEYS, put_many

import pvnet
from pvnet import runtime
from pvnet.errors import InvalidArgumentError
from pvnet.models.random_weights import random_weights
from pvnet.runtime.tuning import cache as cache_room
from pvnet.runtime.tuning import lanes as lanes_room
from pvnet.runtime.tuning import layers as layers_room
from pvnet.runtime.tuning.cache import FOLDER_VARIABLE, Cache, digest
from pvnet.runtime.tuning.result import is_lanes

ALGORITHMS = ("direct", "winograd 2x2", "winograd 4x4")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield tmp_path / "cache"


def graph() -> pvnet.Graph:
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=20, width=22)
    a = g.conv3d(x, 16, kernel=(1, 3, 3), act="relu", norm=True, name="a")
    b = g.conv3d(a, 16, kernel=(3, 3, 3), act="relu", name="b")
    c = g.conv3d(g.concat([a, b]), 24, kernel=(1, 3, 3), act="relu", name="c")
    s = g.conv3d(c, 8, kernel=(1, 3, 3), stride=(1, 2, 2), name="strided")
    g.output(s, name="y")
    return g


def model(wiring: str = "sequential", stages: int = 1) -> runtime.Model:
    plain = graph()
    return runtime.Model(plain.wire(wiring, stages=stages), random_weights(plain, seed=2))


def taken(plan: pvnet.Plan) -> dict[str, str]:
    return {o["node"]: o["algorithm"] for o in plan.ops if "algorithm" in o}


MIXED = {"a": "winograd 2x2", "b": "winograd 4x4", "c": "direct"}


def measured(monkeypatch: pytest.MonkeyPatch, wanted: dict[str, str], auto: float = 9.0) -> None:
    """Times as if `wanted` were the quickest."""

    def node_us(plans: Any, **_: Any) -> list[dict[str, float]]:
        return [
            {n: 10.0 if wanted.get(n, "direct") == a else 100.0 for n, a in taken(p).items()}
            for p in plans
        ]

    def tick_us(plans: Any, **_: Any) -> list[float]:
        return [auto, *(5.0 + i for i in range(len(plans) - 1))]

    monkeypatch.setattr(layers_room, "node_us", node_us)
    monkeypatch.setattr(layers_room, "tick_us", tick_us)
    monkeypatch.setattr(lanes_room, "tick_us", tick_us)


def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was measured")

    for room in (layers_room, lanes_room):
        for name in ("node_us", "tick_us"):
            if hasattr(room, name):
                monkeypatch.setattr(room, name, measure)


def test_algorithms_of_single_layers_are_taken_and_keep_the_contract() -> None:
    plan = pvnet.compile(model(), algorithm=MIXED)
    assert taken(plan) == {**MIXED, "strided": "direct"}
    listed = {o["node"]: o["algorithms"] for o in plan.ops if "algorithms" in o}
    assert listed == {**{n: list(ALGORITHMS) for n in "abc"}, "strided": ["direct"]}
    options = Options(backends=("cpu",), algorithm=MIXED)  # type: ignore[arg-type]
    verify(graph(), cuts_of(graph(), [1, 3]), options)


def test_algorithms_that_cannot_be_are_refused() -> None:
    m = model()
    for algorithm, options, said in (
        ({"nobody": "direct"}, {}, "is no convolution: got 'nobody'"),
        ({"frame": "direct"}, {}, "is no convolution: got 'frame'"),
        ({"a": "fft"}, {}, 'got "fft", expected "direct", "winograd 2x2"'),
        ({"strided": "winograd 2x2"}, {}, "node 'strided' cannot be computed so"),
        ({"a": "winograd 2x2"}, {"backend": "ref"}, 'got "winograd 2x2" with backend "ref"'),
        ({"a": "winograd 2x2"}, {"memory": "small"}, 'and memory "small"'),
        (3, {}, "algorithm is no choice: got 3"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            pvnet.compile(m, algorithm=algorithm, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("effort", ["fast", "full"])
def test_the_quickest_is_taken_and_kept(effort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, MIXED)
    first = pvnet.compile(model(), tune=effort)
    assert taken(first) == {**MIXED, "strided": "direct"}
    assert first.tuning is not None
    assert not first.tuning.cached
    assert first.tuning.algorithms == MIXED
    assert first.tuning.lanes == first.lanes
    nothing_is_measured(monkeypatch)
    again = pvnet.compile(model(), tune=effort)
    assert again.tuning is not None
    assert again.tuning.cached
    assert again.core.fingerprint == first.core.fingerprint
    assert again.lanes == first.lanes
    assert again.lane_load() == first.lane_load()


def test_every_wiring_and_number_of_lanes_gets_the_same_algorithms_and_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured(monkeypatch, MIXED)
    clip = random_clip(graph(), 1, 9, 3)
    want = run(pvnet.compile(model(), tune="fast", lanes=1), clip)["y"]
    nothing_is_measured(monkeypatch)
    for stages in (2, 3):
        for lanes in (1, 2, 3):
            plan = pvnet.compile(model("pipelined", stages), tune="fast", lanes=lanes, pin=False)
            assert taken(plan) == {**MIXED, "strided": "direct"}
            got = run(plan, clip)["y"]
            assert np.array_equal(got[stages - 1 :], want[: len(want) - stages + 1])
    assert taken(pvnet.compile(model("predictive", 3), tune="fast"))["b"] == "winograd 4x4"


def test_every_batch_gets_the_same_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, MIXED)
    one = pvnet.compile(model(), tune="fast")
    measured(monkeypatch, {"a": "direct", "b": "direct", "c": "winograd 4x4"})
    assert taken(pvnet.compile(model(), tune="fast", batch=4)) == taken(one)


def test_what_is_found_can_be_given_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, MIXED)
    plan = pvnet.compile(model(), tune="full")
    t = plan.tuning
    assert t is not None
    costs = t.costs_us if t.levelled_by == "measured" else None
    same = pvnet.compile(model(), algorithm=t.algorithms, costs=costs, lanes=t.lanes)
    assert same.core.fingerprint == plan.core.fingerprint
    assert same.to_json() == plan.to_json()
    assert pvnet.compile(model(), lanes=1).tuning is None


def test_given_costs_may_be_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, MIXED)
    given: Any = {node: np.float32(1.5) for node in ("a", "b", "c", "strided")}
    plan = pvnet.compile(model(), tune="full", costs=given)
    assert taken(plan) == {**MIXED, "strided": "direct"}


def test_what_is_slower_as_a_whole_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, MIXED, auto=1.0)
    plan = pvnet.compile(model(), tune="fast")
    assert taken(plan) == taken(pvnet.compile(model()))
    assert plan.tuning is not None
    assert plan.tuning.tuned_us == plan.tuning.auto_us == 1.0


def test_options_bound_what_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, MIXED)
    for options in ({"algorithm": "direct"}, {"memory": "small"}):
        plan = pvnet.compile(model(), tune="fast", **options)
        assert set(taken(plan).values()) == {"direct"}
    tiled = taken(pvnet.compile(model(), tune="fast", algorithm="winograd"))
    assert tiled == {"a": "winograd 2x2", "b": "winograd 4x4", "c": tiled["c"], "strided": "direct"}
    assert tiled["c"] != "direct"
    fixed = pvnet.compile(model(), tune="fast", algorithm={"a": "winograd 4x4"})
    assert taken(fixed) == {**MIXED, "a": "winograd 4x4", "strided": "direct"}
    with pytest.raises(InvalidArgumentError, match="nothing can be tuned there: got tune='fast'"):
        pvnet.compile(model(), backend="ref", tune="fast")
    with pytest.raises(InvalidArgumentError, match="expected 'off', 'fast', 'full'"):
        pvnet.compile(model(), tune="slow")  # type: ignore[arg-type]


def test_a_tie_or_a_small_gain_goes_to_what_rounds_less() -> None:
    may = {"a": list(ALGORITHMS)}
    how = [{"a": name} for name in ALGORITHMS]

    def of(*us: float) -> str:
        return layers_room.quickest(may, [{"a": t} for t in us], how)["a"]

    assert of(10, 10, 10) == "direct"
    assert of(10, 9.6, 9.2) == "direct"
    assert of(10, 9.0, 8.9) == "winograd 2x2"
    assert of(10, 9.0, 8.0) == "winograd 2x2"
    assert of(10, 9.0, 7.0) == "winograd 4x4"


def test_lanes_to_try() -> None:
    assert lanes_room.counts(3, 16) == [3]
    assert lanes_room.counts(0, 1) == [1]
    assert lanes_room.counts(0, 2) == [1, 2]
    assert lanes_room.counts(0, 12) == [1, 2, 4, 8, 12]


def test_no_more_lanes_are_tried_than_a_plan_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, MIXED)
    monkeypatch.setattr(lanes_room, "cpus_allowed", lambda: 384)
    tuning = pvnet.compile(model(), tune="full", pin=False).tuning
    assert tuning is not None
    assert tuning.lanes in (1, 2)


@pytest.mark.parametrize("effort", ["fast", "full"])
def test_a_real_measurement_gives_a_plan_that_computes_the_same(effort: str) -> None:
    clip = random_clip(graph(), 1, 4, 0)
    want = run(pvnet.compile(model(), backend="ref"), clip)["y"]
    plan = pvnet.compile(model(), tune=effort)
    assert plan.tuning is not None
    assert plan.tuning.costs_us.keys() == {o["node"] for o in plan.ops}
    assert min(plan.tuning.costs_us.values()) > 0
    assert np.abs(run(plan, clip)["y"] - want).max() < 4e-5 * np.abs(want).max()


def test_layers_behind_a_long_delay_are_measured() -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=8, height=16, width=16)
    late = g.conv3d(g.delay(x, 60), 8, kernel=(1, 3, 3), name="late")
    g.output(g.add([g.conv3d(x, 8, kernel=(1, 3, 3), name="early"), late], name="sum"), name="y")
    plan = pvnet.compile((g, random_weights(g, seed=2)), tune="fast")
    assert plan.tuning is not None
    assert plan.tuning.costs_us.keys() == {"early", "late", "sum"}


DAMAGED = {
    "garbage": (b"\0\xff{", "got no JSON"),
    "empty": (b"", "got no JSON"),
    "a list": (b"[]", "got another document"),
    "another format": (b'{"format": 0, "entries": {}}', "got another document"),
    "deep": (b"[" * 100_000, "got no JSON"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_ignored_with_a_message_and_written_anew(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, MIXED)
    content, said = DAMAGED[name]
    folder.mkdir()
    (folder / "tuning.json").write_bytes(content)
    with pytest.warns(RuntimeWarning, match=rf"tuning\.json' is ignored: {said}"):
        assert taken(pvnet.compile(model(), tune="fast"))["b"] == "winograd 4x4"
    nothing_is_measured(monkeypatch)
    assert taken(pvnet.compile(model(), tune="fast"))["b"] == "winograd 4x4"


@pytest.mark.parametrize(
    "damage",
    [
        {"algorithms": {"a": "fft", "b": "direct", "c": "direct"}},
        {"algorithms": {"a": "direct"}},
        {"algorithms": 7},
        {"costs_us": {"a": "much"}},
        {"costs_us": {"a": 1.0}},
        {"costs_us": {"\ud800": 1.0}},
        {"auto_us": float("nan")},
        {"tuned_us": None},
    ],
)
def test_a_damaged_entry_is_measured_anew(
    damage: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, MIXED)
    pvnet.compile(model(), tune="fast")
    path = folder / "tuning.json"
    document = json.loads(path.read_text())
    (entry,) = document["entries"].values()
    entry.update(damage)
    path.write_text(json.dumps(document))
    with pytest.warns(RuntimeWarning, match="got a damaged entry"):
        plan = pvnet.compile(model(), tune="fast")
    assert taken(plan) == {**MIXED, "strided": "direct"}
    nothing_is_measured(monkeypatch)
    assert pvnet.compile(model(), tune="fast").core.fingerprint == plan.core.fingerprint


def test_a_file_of_a_newer_pvnet_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, MIXED)
    folder.mkdir()
    newer = '{"format": 2, "entries": {"x": 1}}'
    (folder / "tuning.json").write_text(newer)
    with pytest.warns(RuntimeWarning, match="format 2 of a newer pvnet"):
        first = pvnet.compile(model(), tune="fast")
    nothing_is_measured(monkeypatch)
    with pytest.warns(RuntimeWarning, match="format 2 of a newer pvnet"):
        again = pvnet.compile(model(), tune="fast")
    assert again.core.fingerprint == first.core.fingerprint
    assert (folder / "tuning.json").read_text() == newer


def test_a_file_that_cannot_be_read_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, MIXED)
    pvnet.compile(model(), tune="fast")
    content = (folder / "tuning.json").read_text()

    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refused)
        with pytest.warns(RuntimeWarning, match="Mend its permissions"):
            pvnet.compile(model(), tune="fast", algorithm="direct")
    assert (folder / "tuning.json").read_text() == content


def test_a_folder_that_cannot_be_written_is_said_and_the_process_agrees_with_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, MIXED)
    folder.write_text("a file where the folder should be")
    with pytest.warns(RuntimeWarning, match=f"Set {FOLDER_VARIABLE} to a folder"):
        first = pvnet.compile(model(), tune="fast")
    nothing_is_measured(monkeypatch)
    again = pvnet.compile(model("pipelined", 2), tune="fast")
    assert taken(again) == taken(first)


def test_a_user_without_a_home_is_told_and_gets_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    measured(monkeypatch, MIXED)
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    with pytest.warns(RuntimeWarning, match=f"Set {FOLDER_VARIABLE} to a folder"):
        plan = pvnet.compile(model(), tune="fast")
    assert taken(plan) == {**MIXED, "strided": "direct"}


def test_processes_that_write_at_once_lose_nothing_and_agree() -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        shared = pool.map(put_many, range(4), chunksize=1)
    assert len(set(shared)) == 1
    entries = Cache().entries()
    assert entries.keys() == {"shared", *(f"{n}-{i}" for n in range(4) for i in range(KEYS))}
    assert entries["shared"]["lanes"] == shared[0]


def test_a_process_forked_meanwhile_does_not_keep_the_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, children = cache_room.write_json, []

    def write_and_fork(*arguments: Any, **options: Any) -> None:
        children.append(os.fork())
        if children[-1] == 0:
            time.sleep(60)
            os._exit(0)
        real(*arguments, **options)

    monkeypatch.setattr(cache_room, "write_json", write_and_fork)
    Cache().put("key", {"lanes": 1, "levelled_by": "model"}, is_lanes)
    try:
        with (folder / "tuning.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)


def test_other_facts_have_another_key() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
