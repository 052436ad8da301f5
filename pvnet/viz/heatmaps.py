"""Heatmaps over pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import SIDE
from pvnet.video.planes import Planes
from pvnet.viz.part import Picture
from pvnet.viz.pose import side_color
from pvnet.viz.shapes import tint


def draw_heatmaps(image: Picture, heat: ArrayLike, *, opacity: float = 0.7) -> None:
    """Tint a picture by heatmaps, each joint in its side's colour, in place.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255, or planes of memory of their own.
        heat: [j, h', w'] in 0..1.
        opacity: of a heat of 1.

    Raises:
        InvalidArgumentError: if heat is not [j, h', w'].
    """
    maps = np.asarray(heat, np.float32)
    if maps.ndim != 3 or maps.size == 0:
        raise InvalidArgumentError(
            f"[viz.draw_heatmaps] shape of heat: got {maps.shape}, expected [joints, h, w]. "
            "Pass the heatmaps of one frame."
        )
    sides = np.array([SIDE[j] if j < len(SIDE) else 0 for j in range(len(maps))])
    layers = [
        (_heat(maps, sides == side, opacity), side_color(side))
        for side in (-1, 0, 1)
        if (sides == side).any()
    ]
    if not isinstance(image, Planes):
        tint(image, layers)
        return
    inks = [(alpha, image.color(color)) for alpha, color in layers]
    for channel, plane in enumerate((image.y, image.u, image.v)):
        tint(plane[..., None], [(alpha, (ink[channel],)) for alpha, ink in inks])


def _heat(
    maps: NDArray[np.float32], chosen: NDArray[np.bool_], opacity: float
) -> NDArray[np.float32]:
    """[h, w]: the hottest of the chosen maps."""
    return np.asarray(np.clip(maps[chosen], 0, 1).max(axis=0) * np.float32(opacity), np.float32)
