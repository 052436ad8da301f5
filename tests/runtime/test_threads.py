"""Threads that are refused, end with the interpreter, carry names, and leave signals alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pvnet import _core

NETWORK = """
import numpy as np, os, pvnet, resource, sys, threading, time
from pvnet import _core
def network(size=48, width=32):
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=size, width=size)
    x = graph.conv3d(x, width, kernel=(2, 3, 3), act="relu", name="a")
    x = graph.conv3d(x, width, kernel=(1, 3, 3), act="relu", name="b")
    graph.output(x, name="y")
    rng = np.random.default_rng(0)
    return graph, {n: 0.1 * rng.standard_normal(s) for n, s in graph.expected_weights()}
def frame(size=48):
    return np.full((size, size, 3), 100, np.uint8)
"""


def run(code, **options):
    """The program in a process of its own; its standard output."""
    command = [sys.executable, "-c", NETWORK + textwrap.dedent(code)]
    got = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert got.returncode == 0, f"exit {got.returncode}\n{got.stderr[-2000:]}"
    return got.stdout


def test_a_refused_thread_is_an_error_and_the_next_try_works():
    """Of an unprivileged user, whose limit is that of its threads: none, one or two are allowed."""
    code = """
        plan = pvnet.compile(network(), lanes=4)
        if os.geteuid() == 0:
            os.setuid(54321)
        def threads():
            return len(os.listdir("/proc/self/task"))
        mine = threads()
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        for allowed in (0, 1, 2):
            resource.setrlimit(resource.RLIMIT_NPROC, (mine + allowed, hard))
            try:
                plan.stream()
                print("started")
            except pvnet.errors.UnsupportedError as error:
                print("refused", error)
            for _ in range(200):
                if threads() == mine:
                    break
                time.sleep(0.01)
            print("left over", threads() - mine)
        resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
        print("then", plan.stream().tick(frame()).tick.tolist())
    """
    lines = run(code).splitlines()
    assert [line.split()[0] for line in lines] == ["refused", "left"] * 3 + ["then"], lines
    for lane, line in zip((1, 2, 3), lines[0::2], strict=False):
        assert f"refuses a thread for lane {lane}:" in line
        assert "expected 3 workers" in line
    assert lines[1::2] == ["left over 0"] * 3
    assert lines[-1] == "then [0]"


def test_ops_give_the_same_values_where_threads_are_refused():
    """Of the op itself: torch's own pools end the process when they are refused a thread."""
    code = """
        rng = np.random.default_rng(0)
        clip = rng.random((1, 16, 4, 32, 32), dtype=np.float32)
        weight = rng.random((32, 16, 3, 3, 3), dtype=np.float32)
        def conv():
            y = np.empty((1, 32, 4, 32, 32), np.float32)
            _core.ops.causal_conv3d(clip, weight, None, y, (1, 1, 1), (1, 1), (1, 1, 1), 1, 4)
            return y
        expected = conv()
        if os.geteuid() == 0:
            os.setuid(54321)
        mine = len(os.listdir("/proc/self/task"))
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        for allowed in (0, 1):
            resource.setrlimit(resource.RLIMIT_NPROC, (mine + allowed, hard))
            print(bool((conv() == expected).all()))
    """
    assert run(code).split() == ["True", "True"]


@pytest.mark.parametrize("work", ["tick", "op"])
def test_a_daemon_thread_that_works_while_the_interpreter_ends_does_not_abort(work):
    code = f"""
        work = {work!r}
        if work == "tick":
            stream = pvnet.compile(network(), lanes=2).stream()
            image = frame()
            def job():
                stream.tick(image)
        else:
            def job():
                _core.ops.ring_write(ring, 0, x)
            ring, x = np.zeros((2, 1, 8, 64, 64), np.float32), np.ones((1, 8, 64, 64), np.float32)
        ready = threading.Event()
        def forever():
            while True:
                job()
                ready.set()
        threading.Thread(target=forever, daemon=True).start()
        ready.wait()
        time.sleep(0.002 * int(sys.argv[1]) if len(sys.argv) > 1 else 0.01)
    """
    for _ in range(8):
        run(code)


def test_worker_threads_have_names_and_block_signals():
    code = """
        plan = pvnet.compile(network(), lanes=3)
        stream = plan.stream()
        for task in sorted(os.listdir("/proc/self/task"), key=int):
            with open(f"/proc/self/task/{task}/comm") as f:
                name = f.read().strip()
            with open(f"/proc/self/task/{task}/status") as f:
                blocked = next(line.split()[1] for line in f if line.startswith("SigBlk"))
            if name.startswith("pvnet"):
                # SIGINT 2, SIGALRM 14, SIGTERM 15, SIGPROF 27
                print(name, all(int(blocked, 16) >> (n - 1) & 1 for n in (2, 14, 15, 27)))
                # SIGILL 4, SIGABRT 6, SIGBUS 7, SIGFPE 8, SIGSEGV 11: for crash handlers
                print(any(int(blocked, 16) >> (n - 1) & 1 for n in (4, 6, 7, 8, 11)))
    """
    lines = run(code).splitlines()
    assert lines == ["pvnet lane 1 True", "False", "pvnet lane 2 True", "False"]


@pytest.mark.parametrize("call", ["conv", "pool"])
def test_an_unknown_instruction_set_is_an_error_of_ops(call):
    code = f"""
        os.environ["PVNET_CPU_ISA"] = "zzz"
        clip, y = np.ones((1, 2, 2, 4, 4), np.float32), np.empty((1, 2, 2, 4, 4), np.float32)
        weight = np.ones((2, 2, 1, 1, 1), np.float32)
        one, two = (1, 1, 1), (0, 0)
        try:
            if {call!r} == "conv":
                _core.ops.causal_conv3d(clip, weight, None, y, one, two, one, 1, 1)
            else:
                _core.ops.causal_pool3d(clip, y, True, one, one, two, True, 1)
        except pvnet.errors.PvnetError as error:
            print("refused", "zzz" in str(error))
    """
    assert run(code).split() == ["refused", "True"]


def test_streams_do_not_pin_all_their_workers_to_one_cpu():
    """A CPU takes one lane of the process; what goes beyond is left to the system."""
    if _core.usable_cpus() < 2:
        pytest.skip("one CPU")
    code = """
        cpus = sorted(os.sched_getaffinity(0))
        plan = pvnet.compile(network(), lanes=2)
        def pinned():
            out = []
            for task in os.listdir("/proc/self/task"):
                with open(f"/proc/self/task/{task}/comm") as f:
                    if f.read().startswith("pvnet lane"):
                        out.append(sorted(os.sched_getaffinity(int(task))))
            return out
        streams = [plan.stream() for _ in range(len(cpus))]
        sets = pinned()
        single = [s[0] for s in sets if len(s) == 1]
        print(len(sets) == len(cpus), len(single) == len(set(single)) == len(cpus) // 2)
        streams.clear()
        again = plan.stream()
        print(pinned() == [[cpus[1]]])
    """
    assert run(code).split() == ["True", "True", "True"]


def test_a_tick_leaves_the_floating_point_mode_of_the_caller():
    """Subnormals count as zero inside a tick, on every lane, and nowhere else."""
    code = """
        tiny = np.float32(1e-40)
        graph = pvnet.Graph()
        x = graph.input("frame", channels=1, height=8, width=8)
        state = graph.feedback("sum", like=(1, 8, 8))
        half = graph.conv3d(state, 1, kernel=(1, 1, 1), bias=False, name="half")
        graph.add([x, half], name="sum")
        graph.output("sum", name="y")
        weights = {"half.weight": np.full((1, 1, 1, 1, 1), 0.5, np.float32)}
        for backend in ("cpu", "ref"):
            stream = pvnet.compile((graph, weights), backend=backend).stream()
            y = stream.tick(np.ones((1, 8, 8), np.float32))["y"]
            seen = []
            for _ in range(160):
                y = stream.tick(np.zeros((1, 8, 8), np.float32))["y"]
                seen.append(float(y.max()))
            smallest = np.finfo(np.float32).tiny
            normal = [v for v in seen if v >= smallest]
            print(len(normal), all(v == 0 for v in seen[len(normal):]))
            print(np.multiply(tiny, np.float32(0.5)) > 0)
            try:
                stream.tick(np.full((1, 8, 8), np.nan, np.float32))
            except pvnet.errors.InvalidArgumentError:
                print(np.multiply(tiny, np.float32(0.5)) > 0)
    """
    lines = run(code).splitlines()
    assert lines == ["126 True", "True", "True"] * 2


def test_the_quota_of_a_container_is_counted(tmp_path):
    tree(
        tmp_path,
        cgroup="0::/pod/box\n",
        mountinfo="30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n",
        files={
            "sys/fs/cgroup/pod/cpu.max": "150000 100000",
            "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
        },
    )
    assert _core.cpu_quota(str(tmp_path)) == 1.5


def test_the_smallest_quota_on_the_path_counts(tmp_path):
    tree(
        tmp_path,
        cgroup="0::/a/b/c\n",
        mountinfo="30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        files={
            "sys/fs/cgroup/a/cpu.max": "800000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "300000 100000",
            "sys/fs/cgroup/a/b/c/cpu.max": "400000 100000",
        },
    )
    assert _core.cpu_quota(str(tmp_path)) == 3


def test_the_quota_of_control_groups_of_version_1_is_counted(tmp_path):
    tree(
        tmp_path,
        cgroup="5:cpuset:/other\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n",
        mountinfo=(
            "40 23 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            "41 23 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        ),
        files={
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    )
    assert _core.cpu_quota(str(tmp_path)) == 2.5


def test_no_quota_is_none(tmp_path):
    assert _core.cpu_quota(str(tmp_path / "nothing")) == 0
    tree(
        tmp_path,
        cgroup="0::/\ngarbage\n:::\n",
        mountinfo="30 23\n- - -\n30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        files={"sys/fs/cgroup/cpu.max": "max 100000"},
    )
    assert _core.cpu_quota(str(tmp_path)) == 0


def tree(root, *, cgroup, mountinfo, files):
    everything = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo, **files}
    for name, text in everything.items():
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_small_network_gets_no_more_lanes_than_it_has_work_for():
    code = """
        graph = pvnet.Graph()
        x = graph.input("frame", channels=3, height=8, width=8)
        graph.output(graph.conv3d(x, 4, kernel=(1, 3, 3), name="a"), name="y")
        weights = {n: np.ones(s, np.float32) for n, s in graph.expected_weights()}
        print(pvnet.compile((graph, weights)).lanes)
        print(pvnet.compile((graph, weights), lanes=3).lanes)
        print(pvnet.compile(network(256, 64)).lanes == min(_core.usable_cpus(), 256))
    """
    assert run(code).split() == ["1", "3", "True"]
