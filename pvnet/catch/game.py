"""The game: time goes on while a network computes; its answers move the paddle when they exist."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pvnet.catch.drawing import NoisePool, draw, scene
from pvnet.catch.engine import Engine
from pvnet.catch.throws import FALL, HEIGHT, PADDLE_HALF, WIDTH, Throws
from pvnet.viz import decode_heatmaps

Policy = Literal["follow", "extrapolate"]
# The paddle keeps up with any ball (that moves at most 1.1 to the side per pixel of falling).
PADDLE_SPEED = 2.0
_REMEMBERED = 4  # answers from which "extrapolate" takes a velocity
OUTPUT = "heatmaps"


@dataclass
class Game:
    """What happened in all throws of one engine.

    Attributes:
        engine: who played.
        speed: of the ball, pixels per ms of falling.
        caught: bool [n].
        miss_px: float64 [n], distance of the paddle's centre from the ball where they meet.
        error_px: mean distance of answers from the ball at the moment they existed.
        paddle: list of (time in ms, pixel x float64 [n]), from the first frame on; 0: balls start.
    """

    engine: Engine
    speed: float
    caught: NDArray[np.bool_]
    miss_px: NDArray[np.float64]
    error_px: float
    paddle: list[tuple[float, NDArray[np.float64]]]


class Paddle:
    """Positions of all paddles; each goes to where it was sent last, at a limited speed."""

    def __init__(self, n: int, speed: float) -> None:
        self.x = np.full(n, WIDTH / 2)
        self.now_ms = 0.0
        self._target = self.x.copy()
        self._speed = speed

    def until(self, now_ms: float) -> None:
        """Moves on to a time."""
        reach = self._speed * max(0.0, now_ms - self.now_ms)
        self.x = self.x + np.clip(self._target - self.x, -reach, reach)
        self.now_ms = max(now_ms, self.now_ms)

    def send(self, target: NDArray[np.float64]) -> None:
        """Where to go from now on."""
        self._target = np.clip(target, 0, WIDTH - 1)


class Aim:
    """From answers to targets."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._seen: deque[tuple[float, NDArray[np.float64]]] = deque(maxlen=_REMEMBERED)

    def target(self, frame_ms: float, x: NDArray[np.float64], now_ms: float) -> NDArray[np.float64]:
        """Where to send the paddles: to the answers, or to where a straight line leads from them.

        Args:
            frame_ms: time of the frame that the answer is about.
            x: [n], pixel x of the answers.
            now_ms: time at which the answer exists.
        """
        self._seen.append((frame_ms, x))
        if self._policy == "follow" or len(self._seen) < _REMEMBERED:
            return x
        times = np.array([t for t, _ in self._seen])
        places = np.stack([v for _, v in self._seen])
        centred = (times - times.mean())[:, None]
        velocity = (centred * places).sum(axis=0) / (centred**2).sum()
        return np.asarray(places.mean(axis=0) + velocity * (now_ms - times.mean()))


def answers(outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pixel x, y [n, 2] of the ball from heatmaps [n, 1, h, w]."""
    return np.array([decode_heatmaps(maps, (HEIGHT, WIDTH))[0][0] for maps in outputs], np.float64)


def play(
    throws: Throws,
    engine: Engine,
    *,
    speed: float,
    policy: Policy = "follow",
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Game:
    """Lets one engine play all throws, each a row of one Stream, on the clock of its ticks.

    The balls wait at the top until the engine has settled. Then the world does not wait.

    Args:
        throws: what falls.
        engine: with its times.
        speed: of the balls, pixels per ms.
        policy: "follow" sends the paddle to the newest answer, "extrapolate" along a line through
            the last answers to the present.
        seed: of the camera's noise.
        progress: is told the share of the way that is done.

    Returns:
        What happened.
    """
    n = len(throws)
    stream = engine.plan.stream()
    noise = NoisePool(seed)
    scenes = np.stack([scene(s) for s in throws.scenes])
    paddle, aim = Paddle(n, PADDLE_SPEED * speed), Aim(policy)
    begin_ms = engine.settle_ticks * engine.period_ms + engine.latency_ms
    end_ms = begin_ms + FALL / speed
    pending: deque[tuple[float, float, NDArray[np.float64]]] = deque()
    history, errors = [(-begin_ms, paddle.x.copy())], []

    def ball(now_ms: float) -> NDArray[np.float64]:
        return throws.ball(np.full(n, (now_ms - begin_ms) * speed))

    def until(now_ms: float) -> None:
        while pending and pending[0][0] <= now_ms:
            done_ms, frame_ms, found = pending.popleft()
            paddle.until(done_ms)
            paddle.send(aim.target(frame_ms, found[:, 0], done_ms))
            history.append((done_ms - begin_ms, paddle.x.copy()))
            if done_ms >= begin_ms + engine.delay_ms:
                errors.append(float(np.abs(found[:, 0] - ball(done_ms)[:, 0]).mean()))
        paddle.until(now_ms)

    tick = 0
    while tick * engine.period_ms < end_ms:
        taken_ms = tick * engine.period_ms
        until(taken_ms)
        frame = draw(scenes, ball(taken_ms), paddle.x, noise)
        found = answers(np.asarray(stream.tick(frame)[OUTPUT]))
        if tick >= engine.settle_ticks:
            about_ms = taken_ms - engine.late * engine.period_ms
            pending.append((taken_ms + engine.latency_ms, about_ms, found))
        tick += 1
        if progress is not None:
            progress(min(1.0, taken_ms / end_ms))
    until(end_ms)
    history.append((end_ms - begin_ms, paddle.x.copy()))
    return _scored(throws, engine, speed, paddle.x, float(np.mean(errors or [np.nan])), history)


def play_frozen(
    throws: Throws, engine: Engine, *, speed: float, step_ms: float, seed: int = 0
) -> Game:
    """The control: the world waits for every answer, however long it takes.

    Between answers the world goes on by `step_ms`, the same for all engines. What then differs is
    the networks' accuracy on still pictures, not their speed.
    """
    n = len(throws)
    stream = engine.plan.stream()
    noise = NoisePool(seed)
    scenes = np.stack([scene(s) for s in throws.scenes])
    paddle = Paddle(n, PADDLE_SPEED * speed)
    history, errors = [(0.0, paddle.x.copy())], []
    now_ms, end_ms = 0.0, FALL / speed
    while now_ms < end_ms:
        place = throws.ball(np.full(n, now_ms * speed))
        frame = draw(scenes, place, paddle.x, noise)
        for _ in range(engine.settle_ticks + 1):
            tick = stream.tick(frame)
        found = answers(np.asarray(tick[OUTPUT]))
        errors.append(float(np.abs(found[:, 0] - place[:, 0]).mean()))
        paddle.send(found[:, 0])
        now_ms = min(end_ms, now_ms + step_ms)
        paddle.until(now_ms)
        history.append((now_ms, paddle.x.copy()))
    return _scored(throws, engine, speed, paddle.x, float(np.mean(errors)), history)


def _scored(
    throws: Throws,
    engine: Engine,
    speed: float,
    x: NDArray[np.float64],
    error_px: float,
    history: list[tuple[float, NDArray[np.float64]]],
) -> Game:
    miss = np.abs(x - throws.landing())
    return Game(engine, speed, miss <= PADDLE_HALF, miss, error_px, history)
