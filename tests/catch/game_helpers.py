"""A ball on a straight way, and a network that is exact after a known delay."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from pvnet import catch

SLOPE = 0.8
_ROWS, _COLUMNS = np.mgrid[: catch.HEIGHT, : catch.WIDTH]


class Straight(catch.Throws):
    """Balls that start at the left and go to the right by SLOPE per pixel of falling."""

    def __init__(self, n: int = 3) -> None:
        super().__init__(1, n)

    def ball(self, fallen: Any) -> Any:
        fallen = np.maximum(fallen, 0.0)
        return np.stack([20 + SLOPE * fallen, 5 + fallen], axis=1)


class Exact:
    """Heatmaps at full resolution, with a bump where the frame is orange, `late` ticks ago."""

    def __init__(self, late: int) -> None:
        self._late = late
        self._seen: deque[Any] = deque(maxlen=late + 1)

    def tick(self, frames: Any) -> dict[str, Any]:
        frames = frames.astype(int)
        orange = (frames[..., 0] > 150) & (frames[..., 2] < 100)
        maps = np.full((len(frames), 1, catch.HEIGHT, catch.WIDTH), -9.0, np.float32)
        for out, found in zip(maps, orange):
            y, x = (v.mean() for v in np.nonzero(found))
            out[0] = 9 - 0.3 * ((_ROWS - y) ** 2 + (_COLUMNS - x) ** 2)
        self._seen.append(maps)
        return {"heatmaps": self._seen[0]}
