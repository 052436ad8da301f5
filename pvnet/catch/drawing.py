"""What the camera of the game sees: a ball and a paddle before a scene of their throw."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pvnet.catch.throws import BALL_RADIUS, HEIGHT, PADDLE_HALF, PADDLE_Y, WIDTH

_BALL = np.array([240, 150, 40], np.float32)
_PADDLE = np.array([235, 235, 235], np.float32)
_PADDLE_HIGH = 2.0
_BOXES = 5
NOISE = 5.0


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


def draw(
    scenes: NDArray[np.float32],
    ball: NDArray[np.float64],
    paddle: NDArray[np.float64],
    noise: np.random.Generator,
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
    for i, (at, bar) in enumerate(zip(ball, paddle, strict=True)):
        for x0, y0, x1, y1 in boxes(at, float(bar)):
            (seen,) = shown(scenes[i : i + 1], at[None], paddle[i : i + 1], (x0, y0, x1, y1))
            picture[i, y0:y1, x0:x1] = seen
    picture += np.float32(NOISE) * noise.standard_normal(scenes.shape, np.float32)
    np.clip(picture, 0, 255, out=picture)
    return picture.astype(np.uint8)


def shown(
    scenes: NDArray[np.float32],
    ball: NDArray[np.float64],
    paddle: NDArray[np.float64],
    box: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """What is there, without noise, in a box (x0, y0, x1, y1) of pixels: float32 [n, h, w, 3]."""
    x0, y0, x1, y1 = box
    rows = np.arange(y0, y1, dtype=np.float32)[None, :, None]
    columns = np.arange(x0, x1, dtype=np.float32)[None, None, :]
    at = np.asarray(paddle, np.float32)[:, None, None]
    bar = np.minimum(PADDLE_HALF - np.abs(columns - at), _PADDLE_HIGH - np.abs(rows - PADDLE_Y))
    x, y = (np.asarray(v, np.float32)[:, None, None] for v in np.asarray(ball).T)
    disc = BALL_RADIUS - np.hypot(columns - x, rows - y)
    picture = scenes[:, y0:y1, x0:x1]
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
