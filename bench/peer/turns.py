"""Engines in processes of their own, in turns: A B A B, one at work, the others asleep."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from peer import files, venv
from peer.files import Prepared
from peer.serve import ENGINES
from pvnet.runtime.machine import core_to_core_ns

_START_S = 900.0  # of an engine that compiles
_TURN_S = 300.0
_SETTLE_S = 0.05  # threads that spin for more work have gone to sleep by then
_BENCH = Path(__file__).resolve().parents[1]
_STATELESS = ("openvino streams",)


@dataclass
class Seat:
    """An engine's place in the rounds.

    Attributes:
        engine: of `peer.serve.ENGINES`, or a fake.
        threads: lanes, intra-op threads, or streams.
        far: from pvnet's outputs.
        error: why it is left out; "" = it plays.
        rounds: of each turn what the engine gave, with the machine's peak and other work.
    """

    engine: str
    threads: int
    far: float | None = None
    error: str = ""
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.engine} x{self.threads}"


class Player:
    """An engine's process.

    Raises:
        RuntimeError: it ended, or gave no answer in time; the last line that it printed.
    """

    def __init__(self, net: Prepared, seat: Seat) -> None:
        logs = files.HOME / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{net.folder.name}-{seat.label.replace(' ', '-')}.txt"
        own = seat.engine.startswith(("pvnet", "fake"))
        interpreter = sys.executable if own else str(venv.python())
        command = [interpreter, "-m", "peer.serve", str(net.folder), seat.engine, str(seat.threads)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "PYTHONPATH": str(_BENCH), "OMP_NUM_THREADS": str(seat.threads)},
            )  # fmt: skip
        self._hear(_START_S)

    def ask(self, **asked: Any) -> dict[str, Any]:
        """An answer to a line."""
        assert self._process.stdin is not None
        try:
            print(json.dumps(asked), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise RuntimeError(self._last_words()) from None
        return self._hear(_START_S if asked["do"] == "check" else _TURN_S)

    def end(self) -> None:
        """Lets it go."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _hear(self, seconds: float) -> dict[str, Any]:
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], seconds)[0]:
            self.end()
            raise RuntimeError(f"no answer in {seconds:g} s")
        line = out.readline()
        if not line:
            self.end()
            raise RuntimeError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "ended without a word"


def seats(net: Prepared, engines: Sequence[str], threads: Sequence[int]) -> list[Seat]:
    """The engines that can run a network, on each number of threads."""
    found = [Seat(engine, n) for engine in engines for n in threads]
    return [seat for seat in found if fits(net, seat.engine, seat.threads)]


def fits(net: Prepared, engine: str, threads: int) -> bool:
    """Whether an engine has a part in the comparison of a network."""
    if engine == "openvino window":
        return net.window > 0
    if engine == "pvnet single-rate":
        return net.clock_ticks > 1
    if engine == "openvino streams":
        return not net.stateful and threads > 1
    if engine == "pvnet pipelined":
        return threads > 1
    if engine == "continual":
        return net.stateful and net.clock_ticks == 1
    return engine.startswith(("pvnet", "fake")) or net.clock_ticks == 1


def schedule(rounds: int, seats: Sequence[Seat]) -> Iterator[tuple[int, Seat]]:
    """Round after round every seat in turn, in one order: A B A B."""
    return ((number, seat) for number in range(rounds) for seat in seats)


def play(
    net: Prepared, seats: Sequence[Seat], *, rounds: int, seconds: float,
    peak: Callable[[], float], say: Callable[[str], None],
) -> None:  # fmt: skip
    """Starts and checks all engines, then times them in turns; results go into the seats.

    An engine that is wrong or ends is told, and left out.
    """
    players: dict[str, Player] = {}
    try:
        for seat in seats:
            _start(net, seat, players, say)
        for _, seat in schedule(rounds, seats):
            if seat.error:
                continue
            time.sleep(_SETTLE_S)
            try:
                seat.rounds.append(_turn(players[seat.label], seconds, peak))
            except RuntimeError as error:
                seat.error = str(error)
                say(f"{net.name}: {seat.label} left out: {error}")
    finally:
        for player in players.values():
            player.end()


def _start(
    net: Prepared, seat: Seat, players: dict[str, Player], say: Callable[[str], None]
) -> None:
    """The process of an engine, and whether its outputs are right."""
    missing = venv.python() is None and not seat.engine.startswith(("pvnet", "fake"))
    try:
        if missing:
            raise RuntimeError("there is no environment of the peers")
        player = players[seat.label] = Player(net, seat)
        seat.far = player.ask(do="check")["far"]
        if not seat.far <= files.near(net.name):
            of = "the largest value" if files.precision() != "int8" else "their deviation"
            seat.error = f"refused: outputs differ by {seat.far:.2e} of {of}"
            players.pop(seat.label).end()
    except RuntimeError as error:
        seat.error = str(error)
    if seat.error:
        say(f"{net.name}: {seat.label} left out: {seat.error}")


def _turn(player: Player, seconds: float, peak: Callable[[], float]) -> dict[str, Any]:
    """One turn: ms per frame, and what else the machine did."""
    gflops, before_ns = peak(), core_to_core_ns()
    busy, begin = busy_seconds(), time.perf_counter()
    found = player.ask(do="time", seconds=seconds)
    wall, others = time.perf_counter() - begin, busy_seconds() - busy - found["cpu_s"]
    cpus = os.cpu_count() or 1
    far = [ns for ns in (before_ns, core_to_core_ns()) if ns is not None]
    return {
        "ms": found["ms"],
        "ms_per_frame": 1e3 * found["seconds"] / len(found["ms"]),
        "peak_mb": found["peak_mb"],
        "peak_gflops": gflops,
        "others": max(0.0, others / (wall * cpus)),
        "core_ns": max(far, default=0.0),
    }


def busy_seconds() -> float:
    """CPU time that all programs of the machine have used."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _idle, _wait, *rest = map(int, fields[:8])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def figures(net: Prepared, seat: Seat) -> dict[str, Any]:
    """A seat's row of the record.

    `ms` is the median of the rounds; `p50_ms` and `p99_ms` are of single frames, from a frame to
    its outputs; `spread` is what lies between the quickest and the slowest round, relative to ms.
    `rounds_core_ns` is how far the cores were apart, the longer of before and after a turn.
    """
    row: dict[str, Any] = {"engine": seat.engine, "threads": seat.threads, "far": seat.far}
    if seat.error or not seat.rounds:
        return {**row, "error": seat.error or "no round"}
    means = [r["ms_per_frame"] for r in seat.rounds]
    single = np.concatenate([r["ms"] for r in seat.rounds])
    ms, peak = statistics.median(means), statistics.median(r["peak_gflops"] for r in seat.rounds)
    return {
        **row,
        "ms": ms,
        "p50_ms": float(np.median(single)),
        "p99_ms": float(np.percentile(single, 99)),
        "spread": (max(means) - min(means)) / ms,
        "rounds_ms": means,
        "rounds_core_ns": [r["core_ns"] for r in seat.rounds],
        "frames": len(single),
        "peak_gflops": peak,
        "of_peak": 2 * net.gmac / (ms * 1e-3) / (peak * seat.threads),
        "others": statistics.median(r["others"] for r in seat.rounds),
        "peak_mb": max(r["peak_mb"] for r in seat.rounds),
    }


def known(engine: str) -> bool:
    """Whether there is an engine of this name."""
    return engine in ENGINES or engine.startswith("fake")
