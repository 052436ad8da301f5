"""What the camera of the game sees: a ball and a paddle before a scene of their throw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.catch.throws import BALL_RADIUS, HEIGHT, PADDLE_HALF, PADDLE_Y, WIDTH

_BALL = np.array([240, 150, 40], np.float32)
_PADDLE = np.array([235, 235, 235], np.float32)
_PADDLE_HIGH = 2.0
_BOXES = 5
NOISE = 5.0
_POOL = 1 << 20  # numbers


def scene(seed: int) -> NDArray[np.float32]:
    """The background float32 [HEIGHT, WIDTH, 3] of one throw: a gradient and some boxes."""
    rng = np.random.default_rng(int(seed))
    corners = rng.uniform(20, 150, (2, 2, 3))
    down = np.linspace(0, 1, HEIGHT)[:, None, None]
    across = np.linspace(0, 1, WIDTH)[None, :, None]
    left = corners[0, 0] * (1 - down) + corners[0, 1] * down
    right = corners[1, 0] * (1 - down) + corners[1, 1] * down
    picture = left * (1 - across) + right * across
    for _ in range(_BOXES):
        x, y = int(rng.integers(WIDTH)), int(rng.integers(HEIGHT - 12))
        w, h = rng.integers(4, 14, 2)
        picture[y : y + h, x : x + w] = rng.uniform(10, 200, 3)
    return np.asarray(picture, np.float32)


class NoisePool:
    """Noise of cameras from a pool, which each game reads from another place.

    New normal numbers for every pixel would take more time than all else that is drawn.

    Args:
        seed: of the pool and the places.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._pool = self._rng.standard_normal(_POOL, np.float32)

    def standard_normal(self, shape: tuple[int, ...], dtype: Any) -> NDArray[np.float32]:
        """As `numpy.random.Generator.standard_normal`; shape [n, ...], a place for each of n."""
        out = np.empty(shape, dtype)
        size = math.prod(shape[1:])
        for row, begin in zip(out, self._rng.integers(_POOL - size, size=len(out)), strict=True):
            row[...] = self._pool[begin : begin + size].reshape(row.shape)
        return out


def draw(
    scenes: NDArray[np.float32],
    ball: NDArray[np.float64],
    paddle: NDArray[np.float64],
    noise: np.random.Generator | NoisePool,
) -> NDArray[np.uint8]:
    """One frame of each game.

    Args:
        scenes: float32 [n, HEIGHT, WIDTH, 3].
        ball: [n, 2], pixel x, y of the centres.
        paddle: [n], pixel x of the centres.
        noise: of the camera.

    Returns:
        uint8 [n, HEIGHT, WIDTH, 3].
    """
    # Ball and paddle cover a few pixels: elsewhere the scene is what is there.
    picture = scenes.copy()
    games = np.arange(len(scenes))[:, None, None]
    for corner, size in _windows(ball, paddle):
        rows, columns = (
            first[:, None] + np.arange(n) for first, n in zip(corner.T[::-1], size[::-1])
        )
        at = (games, rows[:, :, None], columns[:, None, :])
        picture[at] = _covered(scenes[at], ball, paddle, rows, columns)
    picture += np.float32(NOISE) * noise.standard_normal(scenes.shape, np.float32)
    np.clip(picture, 0, 255, out=picture)
    return picture.astype(np.uint8)


def _windows(
    ball: NDArray[np.float64], paddle: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
    """Around all balls, then around all paddles: corners int64 [n, 2], x and y; (width, height).

    They lie in the picture and have all pixels of it that are covered.
    """
    bar = np.stack([paddle, np.full(len(paddle), PADDLE_Y)], axis=1)
    for centre, half in ((ball, (BALL_RADIUS,) * 2), (bar, (PADDLE_HALF, _PADDLE_HIGH))):
        size = tuple(min(math.ceil(2 * n + 4), most) for n, most in zip(half, (WIDTH, HEIGHT)))
        first = np.floor(np.asarray(centre) - half - 1).astype(np.int64)
        yield np.clip(first, 0, np.array((WIDTH, HEIGHT)) - size), (size[0], size[1])


def shown(
    scenes: NDArray[np.float32],
    ball: NDArray[np.float64],
    paddle: NDArray[np.float64],
    box: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """What is there, without noise, in a box (x0, y0, x1, y1) of pixels: float32 [n, h, w, 3]."""
    x0, y0, x1, y1 = box
    rows, columns = np.arange(y0, y1)[None], np.arange(x0, x1)[None]
    return _covered(scenes[:, y0:y1, x0:x1], ball, paddle, rows, columns)


def _covered(
    picture: NDArray[np.float32],
    ball: NDArray[np.float64],
    paddle: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Paddle, then ball, over float32 [n, h, w, 3]; rows [n or 1, h] and columns [n or 1, w]."""
    down, across = (v.astype(np.float32) for v in (rows[:, :, None], columns[:, None, :]))
    at = np.asarray(paddle, np.float32)[:, None, None]
    bar = np.minimum(PADDLE_HALF - np.abs(across - at), _PADDLE_HIGH - np.abs(down - PADDLE_Y))
    x, y = (np.asarray(v, np.float32)[:, None, None] for v in np.asarray(ball).T)
    disc = BALL_RADIUS - np.hypot(down - y, across - x)
    for depth, color in ((bar, _PADDLE), (disc, _BALL)):
        cover = np.clip(depth + 0.5, 0, 1)[..., None]  # edges cover a part of their pixels
        picture = picture * (1 - cover) + color * cover
    return picture


def boxes(ball: NDArray[np.float64], paddle: float) -> list[tuple[int, int, int, int]]:
    """Boxes of the pixels that ball [2] and paddle can cover."""
    x, y = float(ball[0]), float(ball[1])
    parts = ((x, y, BALL_RADIUS, BALL_RADIUS), (paddle, PADDLE_Y, PADDLE_HALF, _PADDLE_HIGH))
    found = []
    for across, down, wide, high in parts:
        x0, x1 = max(0, math.floor(across - wide - 1)), min(WIDTH, math.ceil(across + wide + 2))
        y0, y1 = max(0, math.floor(down - high - 1)), min(HEIGHT, math.ceil(down + high + 2))
        if x0 < x1 and y0 < y1:
            found.append((x0, y0, x1, y1))
    return found
