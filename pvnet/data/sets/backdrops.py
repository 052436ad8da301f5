"""What figures move in front of: procedural scenes, or stretches of real videos."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pvnet.data.files.cache import Request, open_cache
from pvnet.data.files.tree import Tree
from pvnet.data.resample import Box, resample
from pvnet.errors import FileError
from pvnet.video.synthetic.background import Camera, Scene

_MAX_FRAMES = 300
_MARGIN = 1.5


class Backdrops(Protocol):
    """Moving pictures by random state."""

    def frames(
        self, rng: np.random.Generator, n: int, size: tuple[int, int], fps: float
    ) -> NDArray[np.float32]:
        """[n, h, w, 3] float32, 0..255."""
        ...

    def describe(self) -> str:
        """What they are."""
        ...


class ProceduralBackdrops:
    """Textured walls and floors with a drifting camera and moving things."""

    def frames(
        self, rng: np.random.Generator, n: int, size: tuple[int, int], fps: float
    ) -> NDArray[np.float32]:
        """[n, h, w, 3] float32, 0..255."""
        h, w = size
        scene = Scene(rng, h, w, horizon=float(rng.uniform(0.5, 0.85)), distractors=None)
        camera = Camera(rng, h, w, noise=0.0, drift=0.02, even=False)
        out = np.empty((n, h, w, 3), np.float32)
        for t in range(n):
            image = scene.view(*camera.pan(t / fps))
            scene.draw_movers(image, t / fps, front=False)
            out[t] = image
        return out

    def describe(self) -> str:
        """What they are."""
        return "procedural"


class VideoBackdrops:
    """Random stretches of the videos of a folder, decoded once and kept.

    Args:
        folder: of videos; at most 300 frames of each are used.
        size: (h, w) of the clips.
        cache: folder of decoded frames, None for the default one.

    Raises:
        FileError: if no video can be read.
    """

    def __init__(self, folder: Path, size: tuple[int, int], *, cache: Path | None) -> None:
        stored = (round(size[0] * _MARGIN), round(size[1] * _MARGIN))
        request = Request(tuple(Tree(folder).files), stored, max_frames=_MAX_FRAMES)
        self._cache = open_cache(request, cache)
        self._usable = [k for k in range(len(self._cache)) if len(self._cache.times_s(k))]
        self._folder = folder
        if not self._usable:
            raise FileError(
                f"[data.figures] no background video in {folder}: got 0 readable, expected at "
                "least one. Name another folder, or leave backgrounds out."
            )

    def frames(
        self, rng: np.random.Generator, n: int, size: tuple[int, int], fps: float
    ) -> NDArray[np.float32]:
        """[n, h, w, 3] float32, 0..255: a random crop of a random stretch, to and fro if short."""
        k = self._usable[int(rng.integers(len(self._usable)))]
        video = self._cache.frames(k)
        rate = self._cache.fps(k) / fps if 0.2 < self._cache.fps(k) / fps < 5 else 1.0
        start, zoom, x, y = rng.random(4)
        at = (start * len(video) + rate * np.arange(n)).astype(np.int64)
        lap = max(2 * (len(video) - 1), 1)
        at = np.abs((at + len(video) - 1) % lap - (len(video) - 1))
        h, w = video.shape[1:3]
        share = 0.6 + 0.4 * zoom
        x0, y0 = x * (1 - share) * w, y * (1 - share) * h
        box = Box(x0, y0, x0 + share * w, y0 + share * h)
        shown = resample(np.asarray(video[at]), box, size)
        if rng.random() < 0.5:
            shown = shown[:, :, ::-1]
        return np.asarray(shown, np.float32)

    def describe(self) -> str:
        """What they are."""
        return f"{len(self._usable)} videos of {self._folder.name}"
