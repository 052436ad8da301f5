"""The game in real time: the clock on the wall moves the world while the network computes.

Nothing is measured before or assumed: an answer exists when it is there. Drawing the camera's
picture and finding the ball in the network's output take their time too, the same in every way.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.catch.camera import Camera
from pvnet.catch.drawing import scene
from pvnet.catch.engine import Engine
from pvnet.catch.game import OUTPUT, PADDLE_SPEED, Aim, Game, Paddle, Policy, answers
from pvnet.catch.throws import FALL, PADDLE_HALF, Throws
from pvnet.runtime import Plan

_SHOWN = 100  # moments of a throw at which the paddle is kept for the video
_LEAST_TICKS = 5  # a stream that has just begun is slower


@dataclass(frozen=True)
class Way:
    """A way to run a network on live video.

    Attributes:
        name: of the row.
        plan: the compiled network, of one video.
        workers: threads that each run a stream of their own, on the newest frame.
        late: ticks by which answers are late, as the network was trained.
    """

    name: str
    plan: Plan
    workers: int = 1
    late: int = 0

    @property
    def settle_ticks(self) -> int:
        """Ticks of a stream while the ball waits: until it is settled, and as quick as it gets."""
        known = max(self.plan.warm_up_ticks.values()) + self.plan.graph.n_stages
        return max(known, self.late + 1, _LEAST_TICKS)


def wall_ms() -> float:
    """The clock on the wall."""
    return 1e3 * time.perf_counter()


def play_live(
    throws: Throws,
    ways: Sequence[Way],
    *,
    speed: float,
    policy: Policy = "follow",
    seed: int = 0,
    clock: Callable[[], float] = wall_ms,
    progress: Callable[[], None] | None = None,
) -> list[Game]:
    """Lets every way play every throw, one after the other: nobody shares the lanes.

    What disturbs the machine for a while disturbs all ways, because they take turns by the throw.

    Args:
        throws: what falls.
        ways: who plays.
        speed: of the balls, pixels per ms.
        policy: as of `play`.
        seed: of the camera's noise.
        clock: time in ms.
        progress: is told of every throw of every way.

    Returns:
        What happened, a game for each way. Periods and delays of its engine are means.
    """
    played: list[list[_Throw]] = [[] for _ in ways]
    for index in range(len(throws)):
        order = list(enumerate(ways))
        for number, way in order[:: 1 if index % 2 == 0 else -1]:
            world = _Throw(throws, index, speed=speed, policy=policy, seed=seed, clock=clock)
            world.play(way)
            played[number].append(world)
            if progress is not None:
                progress()
    return [_game(throws, way, speed, worlds) for way, worlds in zip(ways, played)]


class _Throw:
    """One ball and one paddle. The ball waits at the top until all workers have settled."""

    def __init__(
        self,
        throws: Throws,
        index: int,
        *,
        speed: float,
        policy: Policy,
        seed: int,
        clock: Callable[[], float],
    ) -> None:
        self._throw, self._speed = throws.one(index), speed
        self._clock = clock
        self._lock = threading.Lock()
        self._see = Camera(scene(throws.scenes[index]), np.random.default_rng((seed, index)))
        self._aim = Aim(policy)
        self._begin_ms = self._end_ms = float("inf")
        self._paddle = Paddle(1, PADDLE_SPEED * speed)
        self._about_ms = -float("inf")  # the frame of the newest answer
        self.taken_ms: list[float] = []
        self.delays_ms: list[float] = []
        self.errors_px: list[float] = []
        self._history: list[tuple[float, float]] = []
        self._over_ms = float("inf")  # the first frame seen after the fall

    def play(self, way: Way) -> None:
        """To the end of the fall."""
        ready = threading.Barrier(way.workers, self._begin)
        errors: list[BaseException] = []

        def work() -> None:
            try:
                self._work(way, ready)
            except threading.BrokenBarrierError:
                pass  # another worker tells why
            except BaseException as error:
                errors.append(error)
                ready.abort()

        others = [threading.Thread(target=work, daemon=True) for _ in range(way.workers - 1)]
        for thread in others:
            thread.start()
        work()
        for thread in others:
            thread.join()
        if errors:
            raise errors[0]
        self._paddle.until(self._end_ms)
        self._history.append((self._end_ms, float(self._paddle.x[0])))

    def _begin(self) -> None:
        self._begin_ms = self._clock()
        self._end_ms = self._begin_ms + FALL / self._speed
        self._history.append((self._begin_ms, float(self._paddle.x[0])))

    def _work(self, way: Way, ready: threading.Barrier) -> None:
        stream = way.plan.stream()
        taken: deque[float] = deque(maxlen=way.late + 1)
        for _ in range(way.settle_ticks):
            now_ms, frame = self._look()
            taken.append(now_ms)
            answers(np.asarray(stream.tick(frame)[OUTPUT]))
        ready.wait()
        while True:
            now_ms, frame = self._look()
            if now_ms >= self._end_ms:
                with self._lock:
                    self._over_ms = min(self._over_ms, now_ms)
                return
            taken.append(now_ms)
            self.taken_ms.append(now_ms)
            self._answer(taken[0], answers(np.asarray(stream.tick(frame)[OUTPUT])))

    def _ball(self, now_ms: float) -> NDArray[np.float64]:
        fallen = max(0.0, now_ms - self._begin_ms) * self._speed
        return np.asarray(self._throw.ball(np.full(1, fallen))[0])

    def _look(self) -> tuple[float, NDArray[np.uint8]]:
        """The time, and what the camera sees then."""
        with self._lock:
            now_ms = self._clock()
            self._paddle.until(now_ms)
            return now_ms, self._see(self._ball(now_ms), float(self._paddle.x[0]))

    def _answer(self, about_ms: float, found: NDArray[np.float64]) -> None:
        """An answer is there, of the frame of a moment; one about an older frame comes too late."""
        with self._lock:
            now_ms = self._clock()
            if about_ms <= self._about_ms or now_ms > self._end_ms:
                return
            self._about_ms = about_ms
            self._paddle.until(now_ms)
            self._history.append((now_ms, float(self._paddle.x[0])))
            self._paddle.send(self._aim.target(about_ms, found[:, 0], now_ms))
            self.delays_ms.append(now_ms - about_ms)
            if about_ms >= self._begin_ms:
                self.errors_px.append(float(abs(found[0, 0] - self._ball(now_ms)[0])))

    def steps_ms(self) -> NDArray[np.float64]:
        """From each frame taken to the next; a tick that outlasts the fall counts as well."""
        return np.diff([*sorted(self.taken_ms), self._over_ms]) if self.taken_ms else np.empty(0)

    @property
    def landed(self) -> float:
        """Pixel x of the paddle at the end."""
        return float(self._paddle.x[0])

    def path(self, times_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixel x of the paddle, so many ms after the ball began to fall."""
        times = [t - self._begin_ms for t, _ in self._history]
        return np.asarray(np.interp(times_ms, times, [x for _, x in self._history]))


def _game(throws: Throws, way: Way, speed: float, worlds: Sequence[_Throw]) -> Game:
    """All throws of one way."""
    period_ms = _mean(np.concatenate([world.steps_ms() for world in worlds]))
    delay_ms = _mean([ms for world in worlds for ms in world.delays_ms])
    engine = Engine(way.name, way.plan, period_ms, delay_ms - way.late * period_ms, way.late)
    miss = np.abs(np.array([world.landed for world in worlds]) - throws.landing())
    times_ms = np.linspace(0, FALL / speed, _SHOWN)
    paths = np.stack([world.path(times_ms) for world in worlds], axis=1)
    error_px = _mean([px for world in worlds for px in world.errors_px])
    return Game(
        engine, speed, miss <= PADDLE_HALF, miss, error_px, list(zip(times_ms.tolist(), paths))
    )


def _mean(values: Any) -> float:
    """NaN of none: a ball may be down before an answer is there."""
    return float(np.mean(values)) if len(values) else float("nan")
