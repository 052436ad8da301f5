"""bench/gpu.sh: deadlines, steps beside each other, a second call, and the dry run itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_gpu_records import make

ROOT = Path(__file__).resolve().parents[2]
HANGS = "import time; print('begun', flush=True); time.sleep(600)"


def is_gone(process: int) -> bool:
    """Within some seconds: whoever inherits a process must have waited for it."""
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_program_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    from gpu import deadline

    child = tmp_path / "child"
    code = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"p = subprocess.Popen([sys.executable, '-c', {HANGS!r}]);"
        f"open({str(child)!r}, 'w').write(str(p.pid)); p.wait(); p.wait(600)"
    )
    ended = deadline.run(python(code), seconds=2.0, log=tmp_path / "log")
    assert not ended.in_time
    assert ended.words == "ended at its deadline of 2 s"
    assert is_gone(int(child.read_text()))


def test_how_a_program_ended_is_told(tmp_path: Path) -> None:
    from gpu import deadline

    log = tmp_path / "log"
    assert deadline.run(python("print('fine')"), seconds=60, log=log).words == "done"
    assert deadline.tail(log) == "fine"
    ended = deadline.run(python("print('one\\ntwo'); raise SystemExit(3)"), seconds=60, log=log)
    assert ended.words == "failed: exit code 3"
    assert deadline.tail(log, 1) == "two"
    code = f"import os; os.kill(os.getpid(), {signal.SIGKILL})"
    assert deadline.run(python(code), seconds=60, log=log).words == "failed: exit code -9"
    assert deadline.tail(tmp_path / "missing") == ""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run whose steps are other programs: by name what they do, else a row."""
    from gpu import deadline, run

    does: dict[str, str] = {}
    begun: list[str] = []

    class Job(deadline.Job):
        def __init__(self, argv: list[str], **options) -> None:
            name, path = argv[2].removeprefix("gpu."), argv[4]
            begun.append(name)
            body = does.get(name, "record.add(us=1.0)")
            code = (
                "import time; from pathlib import Path; from gpu.record import Record;"
                f"record = Record.begin(Path({path!r}), {name!r}, dry=False); {body}; record.end()"
            )
            super().__init__(python(code), **options)

    monkeypatch.setattr(run.deadline, "Job", Job)
    made = run.Run(tmp_path, dry=False, seconds=60)
    return made, does, begun


def read(folder: Path, name: str) -> dict:
    from gpu import record

    data = record.read(folder / f"{name}.json")
    assert data is not None
    assert record.faults(data) == []
    return data


def test_a_step_that_fails_or_hangs_stops_no_other(programs, tmp_path: Path) -> None:
    from gpu.steps import Step

    run, does, begun = programs
    does["bad"] = "record.add(us=2.0); raise SystemExit(1)"
    does["slow"] = "record.add(us=3.0); time.sleep(600)"
    does["silent"] = "Path(record.path).unlink(); raise SystemExit(1)"
    steps = [Step(name, 3, 3, True, "") for name in ("bad", "slow", "silent", "good")]
    for step in steps:
        run.do(step)
    assert begun == ["bad", "slow", "silent", "good"]
    assert read(tmp_path, "bad")["ended"] == "failed: exit code 1"
    assert read(tmp_path, "slow")["ended"] == "ended at its deadline of 3 s"
    assert read(tmp_path, "slow")["rows"] == [{"us": 3.0}]  # what it had measured
    assert read(tmp_path, "silent")["rows"] == []
    assert read(tmp_path, "good")["ended"] == "done"


def test_what_has_no_time_left_is_told_and_not_begun(programs, tmp_path: Path) -> None:
    from gpu.run import NO_TIME
    from gpu.steps import Step

    run, _, begun = programs
    run.end = time.monotonic() + 1
    run.do(Step("late", 60, 60, True, ""))
    assert begun == []
    assert read(tmp_path, "late")["ended"] == NO_TIME


def test_times_are_measured_alone(programs, tmp_path: Path) -> None:
    """Peers are compiled beside what measures no time; what does waits for them."""
    from gpu.steps import BUILD, FIRST, Step

    run, does, begun = programs
    does["warm"] = f"time.sleep(1); Path({str(tmp_path / 'warm.end')!r}).touch()"
    does["own"] = f"record.add(right=Path({str(tmp_path / 'warm.end')!r}).is_file())"
    kinds = (("card", True), ("own", True), ("peers", True), ("build", False), ("sanitizer", False))
    steps = {name: Step(name, 30, 30, timed, "") for name, timed in kinds}
    steps |= {"card": FIRST[0], "build": BUILD}
    run.do_all(list(steps.values()))
    assert begun == ["card", "warm", "build", "sanitizer", "own", "peers"]
    assert read(tmp_path, "own")["rows"] == [{"right": True}]
    assert read(tmp_path, "warm")["ended"] == "done"
    begun.clear()
    run.do_all([steps["peers"]], warm=False)  # a second call has them compiled
    assert begun == ["peers"]


def test_again_repeats_what_is_not_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpu import run
    from gpu.steps import EVERY

    names = [step.name for step in EVERY]
    assert [s.name for s in run.chosen(tmp_path, again=False, only=[])] == names
    for name in names:
        make(tmp_path, name, [{"us": 1.0, "right": True}])
    make(tmp_path, "depth", [{"right": False}])
    make(tmp_path, "own", [], ended="ended at its deadline of 100 s")
    make(tmp_path, "lanes", [], ended=run.NO_TIME)
    (tmp_path / "wave.json").unlink()
    monkeypatch.setattr(run, "_built", lambda: True)
    again = run.chosen(tmp_path, again=True, only=[])
    assert [s.name for s in again] == [n for n in names if n in ("own", "depth", "lanes", "wave")]
    monkeypatch.setattr(run, "_built", lambda: False)  # a machine made anew
    assert run.chosen(tmp_path, again=True, only=[])[0].name == "build"
    assert [s.name for s in run.chosen(tmp_path, again=False, only=["own"])] == ["own"]


def test_the_steps_fit_in_nine_minutes() -> None:
    """Those that measure times, after the longest that may run beside the peers' compiler."""
    from gpu import run
    from gpu.steps import EVERY, WARM

    assert run.SECONDS < 540
    assert run.AGAIN_SECONDS <= 150
    important = ("card", "launch", "own", "peers", "depth", "latency")
    timed = sum(step.seconds for step in EVERY if step.name in important)
    assert WARM.seconds <= 240
    assert timed + 200 < run.SECONDS + 60  # caps, not what they take


def gpu_sh(*words: str, out: Path, seconds: float) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHON": sys.executable, "OUT": str(out)}
    return subprocess.run(
        ["bash", str(ROOT / "bench" / "gpu.sh"), "--dry", *words, "--records", str(out / "r")],
        env=env, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip


def check_dry(done: subprocess.CompletedProcess, out: Path, names: list[str]) -> None:
    from gpu import record

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout) < 12_000
    records = json.loads((out / "records.json").read_text())
    for name in names:
        assert record.faults(records[name]) == []
        assert records[name]["ended"] == "done", name
        assert records[name]["rows"] or records[name]["notes"]
    assert (out / "table.txt").read_text().strip() == done.stdout.strip()
    assert len([p for p in out.iterdir() if p.is_file()]) <= 8


def test_a_short_dry_run_is_right(tmp_path: Path) -> None:
    names = ["depth", "clocks"]
    done = gpu_sh("--only", *names, out=tmp_path, seconds=120)
    check_dry(done, tmp_path, names)
    again = gpu_sh("--again", "--only", "depth", out=tmp_path, seconds=120)
    check_dry(again, tmp_path, names)


@pytest.mark.slow
def test_the_whole_dry_run_is_right(tmp_path: Path) -> None:
    from gpu.steps import EVERY

    done = gpu_sh(out=tmp_path, seconds=900)
    check_dry(done, tmp_path, [step.name for step in EVERY])
    assert (tmp_path / "speed_up.png").stat().st_size > 1000
    assert (tmp_path / "busy_sms.png").stat().st_size > 1000


def test_without_a_card_the_cure_is_told() -> None:
    env = {**os.environ, "PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    if Path("/usr/bin/nvidia-smi").exists():
        pytest.skip("there is a card")
    done = subprocess.run(
        ["bash", str(ROOT / "bench" / "gpu.sh")],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Use --dry" in done.stderr
