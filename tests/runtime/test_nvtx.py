"""What a profiler sees of a program: built by the test, loaded by NVTX as Nsight is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pvnet import _core, nvtx

SOURCE = Path(__file__).resolve().parents[1] / "cpp" / "nvtx_counter.cpp"
HEADER = Path("nvtx3") / "nvToolsExt.h"
CATEGORIES = {1: "tick", 2: "stage", 3: "io"}

PROGRAM = """
import ctypes, json, os, sys, threading
import pvnet
from pvnet import models, nvtx
from pvnet.models.random_weights import random_weights
from pvnet.video import VideoWriter

ticks, lanes, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
graph = models.build("par_densenet", size=32, width=0.125, wiring="predictive", stages=2)
costs = {node.name: 1000.0 for node in graph.nodes}  # no level too short to share
plan = pvnet.compile((graph, random_weights(graph, seed=0)), lanes=lanes, costs=costs, pin=False,
                     fixed_lanes=True)
stream = plan.stream()
stream.trace_start(100_000)
source = pvnet.video.open("synthetic", size=(32, 32))
with VideoWriter(folder + "/out.mp4", 25, size=(32, 32)) as writer:
    for tick in stream.run(source, policy="block"):
        with nvtx.io("draw", tick.frame.index):
            pass
        writer.write(tick.frame.image)
        if tick.frame.index + 1 == ticks:
            break
ops = plan.ops
work = [(int(e["tick"]), ops[int(e["op"])]["node"], int(e["lane"])) for e in stream.trace_stop()]
try:
    with nvtx.io("fails", -5):
        raise KeyError
except KeyError:
    pass
other = threading.Thread(target=lambda: nvtx.io("elsewhere", 7).__enter__())
other.start(); other.join()
counter = ctypes.CDLL(os.environ["NVTX_INJECTION64_PATH"])
counter.nvtx_counter_take.restype = ctypes.c_char_p
print(json.dumps({"lines": counter.nvtx_counter_take().decode().splitlines(), "work": work}))
"""


def headers() -> Path | None:
    """The folder of the headers that a build of pvnet finds, too."""
    try:
        import nvidia

        packages = [Path(p) for p in nvidia.__path__]
    except ImportError:
        packages = []
    toolkits = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    roots = [Path(t) for t in toolkits if t]
    roots += [package / part for package in packages for part in ("cu13", "nvtx")]
    return next((r / "include" for r in roots if (r / "include" / HEADER).is_file()), None)


@pytest.fixture(scope="module")
def profiler(tmp_path_factory):
    """The library that counts."""
    if not _core.nvtx_built():
        pytest.skip("pvnet was built without headers of NVTX: it shows nothing to a profiler")
    include, compiler = headers(), shutil.which("c++")
    if include is None or compiler is None:
        pytest.skip(f"needs {HEADER} and a C++ compiler: got {include} and {compiler}")
    library = tmp_path_factory.mktemp("nvtx") / "counter.so"
    flags = ["-std=c++20", "-shared", "-fPIC", f"-isystem{include}"]
    subprocess.run([compiler, *flags, str(SOURCE), "-o", str(library)], check=True)
    return library


def profiled(profiler: Path, folder: Path, *, ticks: int, lanes: int) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ticks), str(lanes), str(folder)],
        env={**os.environ, "NVTX_INJECTION64_PATH": str(profiler)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pushes(lines: list[str]) -> list[dict]:
    """Every range that was opened: thread, depth, domain, category, payload, name."""
    words = [line.split(maxsplit=6) for line in lines if line.startswith("push ")]
    return [
        {
            "thread": int(thread),
            "depth": int(depth),
            "domain": domain,
            "category": CATEGORIES[int(category)],
            "payload": int(payload),
            "name": name,
        }
        for _, thread, depth, domain, category, payload, name in words
    ]


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_profiler_sees_ticks_operations_and_io(profiler, tmp_path, lanes):
    pytest.importorskip("av")
    ticks = 6
    found = profiled(profiler, tmp_path, ticks=ticks, lanes=lanes)
    ranges = pushes(found["lines"])
    assert {r["domain"] for r in ranges} == {"pvnet"}
    for category, name in [
        ("tick", "tick"),
        ("io", "frames in"),
        ("io", "outputs"),
        ("io", "read frame"),
        ("io", "draw"),
        ("io", "write frame"),
    ]:
        own = [r["payload"] for r in ranges if (r["category"], r["name"]) == (category, name)]
        assert own == list(range(ticks)), name
    # The trace is recorded by other code.
    stages = [r for r in ranges if r["category"] == "stage"]
    work = Counter((tick, node) for tick, node, _ in found["work"])
    assert Counter((r["payload"], r["name"]) for r in stages if "stage" not in r["name"]) == work
    assert {r["name"] for r in stages if "stage" in r["name"]} == {"stage 0", "stage 1"}
    assert len({r["thread"] for r in stages}) == lanes


def test_ranges_end_after_an_error_and_belong_to_their_thread(profiler, tmp_path):
    lines = profiled(profiler, tmp_path, ticks=1, lanes=1)["lines"]
    depth: Counter[str] = Counter()
    for line in lines:
        kind, thread, level = line.split()[:3] if line.startswith("p") else ("", "", "")
        if kind == "push":
            assert int(level) == depth[thread]
            depth[thread] += 1
        elif kind == "pop":
            depth[thread] -= 1
            assert int(level) == depth[thread]
    ranges = {r["name"]: r for r in pushes(lines)}
    assert ranges["fails"]["payload"] == -5
    other = ranges["elsewhere"]
    assert other["depth"] == 0
    assert other["thread"] != ranges["fails"]["thread"]
    # Only the other thread left its range open.
    assert {t for t, n in depth.items() if n} == {str(other["thread"])}


def test_without_a_profiler_a_range_is_nothing():
    if nvtx.attached():
        pytest.skip("the tests themselves run in a profiler")
    assert nvtx.io("a", 0) is nvtx.io("b", 1)
    with nvtx.io("a", 0) as value:
        assert value is None


def test_the_record_of_a_machine_says_whether_ranges_can_be_shown():
    import pvnet

    assert pvnet.info()["nvtx"] is _core.nvtx_built()
