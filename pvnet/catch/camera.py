"""A camera for real time: it draws only what moves, so that the network has the processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvnet.catch.drawing import NOISE, boxes, shown

_POOL = 8  # pictures of noise, one after the other


class Camera:
    """Sees one game. Pictures are those of `draw`, with noise that comes again.

    Args:
        scene: float32 [HEIGHT, WIDTH, 3].
        noise: of the camera.
    """

    def __init__(self, scene: NDArray[np.float32], noise: np.random.Generator) -> None:
        self._scene = scene[None]
        self._noise = noise.normal(0, NOISE, (_POOL, *scene.shape)).astype(np.float32)
        self._still = np.clip(scene + self._noise, 0, 255).astype(np.uint8)
        self._next = 0

    def __call__(self, ball: NDArray[np.float64], paddle: float) -> NDArray[np.uint8]:
        """One frame, uint8 [1, HEIGHT, WIDTH, 3].

        Args:
            ball: [2], pixel x, y of its centre.
            paddle: pixel x of its centre.
        """
        number, self._next = self._next, (self._next + 1) % _POOL
        frame = np.array(self._still[number : number + 1])
        for x0, y0, x1, y1 in boxes(ball, paddle):
            part = shown(self._scene, ball[None], np.array([paddle]), (x0, y0, x1, y1))
            part = part + self._noise[number, y0:y1, x0:x1]
            frame[:, y0:y1, x0:x1] = np.clip(part, 0, 255).astype(np.uint8)
        return frame
