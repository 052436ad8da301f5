"""Programs that must end in time: what hangs is ended with all that it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 3.0  # between being asked to end and being killed


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    seconds: float
    in_time: bool

    @property
    def words(self) -> str:
        """ "done", or what went wrong."""
        if not self.in_time:
            return f"ended at its deadline of {self.seconds:.0f} s"
        return "done" if self.code == 0 else f"failed: exit code {self.code}"


class Job:
    """A program in a process group of its own, with its output in a file."""

    def __init__(self, argv: list[str], *, seconds: float, log: Path, env: dict[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.begin = time.monotonic()
        self.seconds = seconds
        with log.open("w") as out:
            self.process = subprocess.Popen(
                argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **env}, start_new_session=True,
            )  # fmt: skip

    def running(self) -> bool:
        return self.process.poll() is None

    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.begin + self.seconds - time.monotonic())

    def wait(self) -> Ended:
        """Until it ends, by itself or at its deadline."""
        in_time = True
        try:
            self.process.wait(self.left())
        except subprocess.TimeoutExpired:
            in_time = False
        seconds = time.monotonic() - self.begin
        self.stop()
        return Ended(self.process.returncode, seconds, in_time)

    def stop(self) -> None:
        """Ends the whole group, also what a program that is done has left behind."""
        for number, grace in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(grace)


def run(argv: list[str], *, seconds: float, log: Path, env: dict[str, str] | None = None) -> Ended:
    """A program from its begin to its end, at most `seconds`."""
    return Job(argv, seconds=seconds, log=log, env=env or {}).wait()


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of an output."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
