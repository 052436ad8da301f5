"""Fitting a picture into the network's input size, and the way back for points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Fit = Literal["stretch", "letterbox"]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Affine map between the original picture and the resized one, per axis.

    Points are pixel centres at integer coordinates: the left edge of the picture is x = -0.5.

    Attributes:
        source_size: (h, w) of the original picture in pixels.
        target_size: (h, w) of the resized picture, borders included.
        inner_size: (h, w) of the picture inside the borders.
        offset: (y, x) of the upper left corner of the inner picture.
    """

    source_size: tuple[int, int]
    target_size: tuple[int, int]
    inner_size: tuple[int, int]
    offset: tuple[int, int]

    @staticmethod
    def fit(source: tuple[int, int], target: tuple[int, int], how: Fit) -> Mapping:
        """The map of a picture of (h, w) `source` pixels into `target` pixels."""
        if how == "stretch":
            return Mapping(source, target, target, (0, 0))
        scale = min(target[0] / source[0], target[1] / source[1])
        inner = (
            min(target[0], max(1, round(source[0] * scale))),
            min(target[1], max(1, round(source[1] * scale))),
        )
        return Mapping(
            source, target, inner, ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2)
        )

    def _scale(self) -> NDArray[np.float32]:
        return np.array(
            [
                self.inner_size[1] / self.source_size[1],
                self.inner_size[0] / self.source_size[0],
            ],
            np.float32,
        )

    def _shift(self) -> NDArray[np.float32]:
        return np.array([self.offset[1], self.offset[0]], np.float32)

    def to_target(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points [..., 2] (x, y) of the original picture, in the resized one."""
        out = (np.asarray(points, np.float32) + 0.5) * self._scale() + self._shift() - 0.5
        return np.asarray(out, np.float32)

    def to_source(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points [..., 2] (x, y) of the resized picture, in the original one."""
        out = (np.asarray(points, np.float32) + 0.5 - self._shift()) / self._scale() - 0.5
        return np.asarray(out, np.float32)
