"""Where is it now? Engines on live video, asked 100 times a second and scored at that moment.

    python bench/streaming.py [--engines "frame by frame" predictive ...] [--seconds 10]

One process sends frames in real time and asks; another runs the engine on the same cores. An answer
is scored against where the ball is at the moment of asking, however late the engine is. Engines
play in turns, round after round. `fake:MS` is exact after MS milliseconds: its score is known.
ONNX Runtime, OpenVINO and MediaPipe come from the environment of `bench/peers.py --make`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import threading
import time
from multiprocessing.sharedctypes import SynchronizedArray
from typing import Any

import numpy as np
import stream_engines
import stream_peers
from stream_world import World

from pvnet import catch
from pvnet.report import plain, table
from pvnet.runtime.machine import cpus_allowed, machine_record, peak_gflops

_NEAR_PX = catch.PADDLE_HALF
_PIXELS = catch.HEIGHT * catch.WIDTH * 3
_AGES_MS = (0, 1, 2, 4, 8, 16, 32, 64, 128)


class Channel:
    """Memory that both processes see: the newest frame, the newest answer."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pixels: SynchronizedArray[Any] = context.Array("B", _PIXELS)
        self.newest = context.Value("d", -1.0)  # second at which the newest frame arrived
        # x, y, when the newest frame that it is made of arrived; -1: no answer yet.
        self.answer: SynchronizedArray[Any] = context.Array("d", [0.0, 0.0, -1.0])
        self.ready = context.Event()
        self.end = context.Event()

    def take(self, after: float) -> tuple[np.ndarray, float] | None:
        """The newest frame and when it arrived, if it is newer than `after`."""
        with self.pixels.get_lock():
            arrived = self.newest.value
            if arrived <= after:
                return None
            copied = np.frombuffer(self.pixels.get_obj(), np.uint8).copy()
        return copied.reshape(catch.HEIGHT, catch.WIDTH, 3), arrived

    def give(self, frame: np.ndarray, arrived: float) -> None:
        """Show a frame to the engine."""
        with self.pixels.get_lock():
            np.frombuffer(self.pixels.get_obj(), np.uint8)[:] = frame.ravel()
            self.newest.value = arrived


def serve(name: str, lanes: int, channel: Channel) -> None:
    """The engine's process: take the newest frame whenever a worker is free."""
    workers = stream_engines.make(name, lanes)
    still = np.zeros((catch.HEIGHT, catch.WIDTH, 3), np.uint8)
    for worker in workers:
        for _ in range(3):
            worker(still)
    turn = threading.Lock()
    last = [-1.0]
    channel.ready.set()

    def run(worker: stream_engines.Worker) -> None:
        arrivals: list[float] = []
        while not channel.end.is_set():
            with turn:
                taken = channel.take(last[0])
                if taken is not None:
                    last[0] = taken[1]
            if taken is None:
                time.sleep(1e-4)
                continue
            place, late = worker(taken[0])
            arrivals.append(taken[1])
            heard = arrivals[max(0, len(arrivals) - 1 - late)]
            with channel.answer.get_lock():
                if heard >= channel.answer[2]:
                    channel.answer[:] = [float(place[0]), float(place[1]), heard]

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ask(world: World, name: str, lanes: int, rate: float) -> dict[str, Any]:
    """Send frames and ask, in real time, from the first answer on.

    Returns:
        Per question: distances of the answer from the ball; late_px, how far the ball has moved
        since the newest frame that the answer is made of; ages_ms of that frame.
    """
    channel = Channel()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(name, lanes, channel), daemon=True)
    process.start()
    while not channel.ready.wait(0.2):
        if not process.is_alive():
            raise ImportError(f"{name} could not start")
    distances, late, ages = [], [], []
    questions = np.arange(int(world.seconds * rate)) / rate
    begin, sent = time.perf_counter(), 0
    for moment in questions:
        while True:
            now = time.perf_counter() - begin
            if sent < len(world.times) and world.times[sent] <= now:
                channel.give(world.frames[sent], float(world.times[sent]))
                sent += 1
                continue
            if now >= moment:
                break
            due = world.times[sent] if sent < len(world.times) else moment
            time.sleep(max(0.0, min(moment, due) - now))
        with channel.answer.get_lock():
            x, y, heard = channel.answer[:]
        if heard < 0:
            continue
        now = time.perf_counter() - begin
        ball = world.ball(now)
        distances.append(float(np.hypot(*(np.array([x, y]) - ball))))
        late.append(float(np.hypot(*(world.ball(heard) - ball))))
        ages.append(1e3 * (now - heard))
    channel.end.set()
    process.join()
    return {"distances": distances, "late_px": late, "ages_ms": ages}


def summary(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """A row: scores at the moment asked, and how old answers were."""
    distances = np.concatenate([f["distances"] for f in found])
    ages = np.concatenate([f["ages_ms"] for f in found])
    rounds = [float((np.array(f["distances"]) <= _NEAR_PX).mean()) for f in found]
    counts, _ = np.histogram(ages, [*_AGES_MS, np.inf])
    return {
        "engine": name,
        "asked": len(distances),
        "near": float((distances <= _NEAR_PX).mean()),
        "near_by_round": rounds,
        "distance_px": float(np.median(distances)),
        "late_px": float(np.median(np.concatenate([f["late_px"] for f in found]))),
        "age_p50_ms": float(np.median(ages)),
        "age_p99_ms": float(np.percentile(ages, 99)),
        "ages": {f"from {low} ms": int(n) for low, n in zip(_AGES_MS, counts)},
    }


def main() -> None:
    """Ask all engines in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=list(stream_engines.ENGINES))
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--fps", type=float, default=240.0, help="frames that arrive per second")
    parser.add_argument("--speed", type=float, default=600.0, help="of the ball, pixels per second")
    parser.add_argument("--rate", type=float, default=100.0, help="questions per second")
    parser.add_argument("--lanes", type=int, default=cpus_allowed())
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in args.engines}
    for name in args.engines:
        reason = stream_peers.missing(name)
        if reason:
            print(f"left out: {name}: {reason}", file=sys.stderr)
            del found[name]
    stream_peers.prepare(found)
    for number in range(args.rounds):
        world = World(args.seed + number, args.seconds, args.fps, args.speed)
        order = list(found) if number % 2 == 0 else list(found)[::-1]
        for name in order:
            try:
                found[name].append(ask(world, name, args.lanes, args.rate))
            except ImportError as error:
                print(f"left out: {error}", file=sys.stderr)
                del found[name]
    rows = [summary(name, one) for name, one in found.items()]
    record = {"machine": machine_record(), "peak": peak_gflops(), **vars(args), "rows": rows}
    if args.json:
        print(json.dumps(plain(record), indent=1))
        return
    near = f"within {_NEAR_PX:g} px"
    header = ("engine", near, "median px", "moved px", "age p50 ms", "age p99 ms", "asked")
    keys = ("distance_px", "late_px", "age_p50_ms", "age_p99_ms", "asked")
    cells = [(r["engine"], f"{r['near']:.3f}", *(r[key] for key in keys)) for r in rows]
    print(table(header, cells))
    print("moved px: how far the ball moved since the newest frame in the answer (medians)")
    peak = record["peak"]["gflops"]
    print(f"{args.fps:g} frames/s, ball {args.speed:g} px/s, FMA peak {peak:.0f} GFLOP/s a core")


if __name__ == "__main__":
    main()
