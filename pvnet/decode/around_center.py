"""From the maps of a joints network to 13 joints with confidences. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.decode.heatmaps import decode_heatmaps
from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import JOINTS

CENTERED = ("heatmaps", "offsets", "center", "regression")
"""Outputs of a network that looks for one person around a centre (`pvnet.models.movenet`)."""
OF_COCO = (0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
"""Our 13 joints among COCO's 17; the nose stands for the head."""
NOBODY = 0.3
"""Mean confidence of the seven surest joints below which nobody is there; chosen on validation
clips and on pictures without people (docs/models.md)."""

_SUREST = 7
# How a map loses weight with the distance in cells, as the published network decodes.
_NEAR = 1.8


def decode(
    maps: Mapping[str, ArrayLike], frame_size: tuple[int, int], *, nobody: float = NOBODY
) -> NDArray[np.float32]:
    """Joints of one frame.

    A network with the outputs of `CENTERED` is decoded as it was published. The centre nearest to
    the middle wins and says roughly where each joint is. The heatmap near there finds the cell, the
    offsets say where in it. Of any other network only "heatmaps" is read, or its only
    output (`pvnet.decode.decode_heatmaps`).

    Args:
        maps: [c, h, w] float by name of the output, one frame; a batch of one is fine.
        frame_size: (h, w) in pixels of the frame that the network read.
        nobody: where the mean of the seven surest confidences is below it, all become 0. 0: never.

    Returns:
        float32 [13, 3]: pixel x, y of the frame, confidence in 0..1.

    Raises:
        InvalidArgumentError: maps of other outputs or shapes.
    """
    given = {name: _single(name, value) for name, value in maps.items()}
    if all(name in given for name in CENTERED):
        return _silenced(_decode_centered(given, frame_size), nobody)
    heat = given["heatmaps"] if "heatmaps" in given else next(iter(given.values()), None)
    if heat is None or len(heat) != len(JOINTS):
        shapes = {name: value.shape for name, value in given.items()}
        raise InvalidArgumentError(
            f"[decode] these are no maps of joints: got {shapes}, expected "
            f"{', '.join(CENTERED)}, or heatmaps [13, h, w]. Give all outputs of a tick."
        )
    joints, scores = decode_heatmaps(heat, frame_size)
    return np.concatenate([joints, scores[:, None]], axis=1)


def is_centered(outputs: Sequence[str]) -> bool:
    """Whether a network with outputs of these names is decoded around a person's centre."""
    return all(name in outputs for name in CENTERED)


def _single(name: str, value: ArrayLike) -> NDArray[np.float32]:
    found = np.asarray(value, np.float32)
    if found.ndim == 4 and len(found) == 1:
        found = found[0]
    if found.ndim != 3:
        raise InvalidArgumentError(
            f"[decode] shape of {name}: got {found.shape}, expected [c, h, w]. Pass the maps "
            "of one frame."
        )
    return found


def _decode_centered(maps: Mapping[str, NDArray[np.float32]], size: tuple[int, int]) -> Any:
    heat, offsets, center, regression = (maps[name] for name in CENTERED)
    channels, h, w = heat.shape
    expected = {
        "offsets": (2 * channels, h, w),
        "center": (1, h, w),
        "regression": (2 * channels, h, w),
    }
    if channels <= max(OF_COCO) or any(maps[n].shape != shape for n, shape in expected.items()):
        raise InvalidArgumentError(
            f"[decode] shapes of the maps: got { {n: maps[n].shape for n in CENTERED} }, "
            f"expected heatmaps [17, h, w] and {expected}. Give all outputs of a tick."
        )
    near = _away(np.array([[h // 2, w // 2]], np.float32), h, w)[0]
    y, x = divmod(int(np.argmax(_sigmoid(center[0]) / near)), w)
    chosen = np.array(OF_COCO)
    rough = np.array([y, x], np.float32) + regression[:, y, x].reshape(channels, 2)[chosen]
    scores = _sigmoid(heat[chosen])
    best = (scores / _away(rough, h, w)).reshape(len(chosen), -1).argmax(axis=1)
    rows, columns = np.divmod(best, w)
    moved = offsets.reshape(channels, 2, h, w)[chosen, :, rows, columns]
    # Cells count from the edge of the map, pixels from the centre of the first one.
    joints = np.empty((len(chosen), 3), np.float32)
    joints[:, 0] = (columns.astype(np.float32) + moved[:, 1]) * size[1] / w - 0.5
    joints[:, 1] = (rows.astype(np.float32) + moved[:, 0]) * size[0] / h - 0.5
    joints[:, 2] = scores[np.arange(len(chosen)), rows, columns]
    return joints


def _away(places: NDArray[np.float32], h: int, w: int) -> NDArray[np.float32]:
    """How far every cell is from places [n, 2], y and x, and _NEAR: float32 [n, h, w]."""
    down = np.arange(h, dtype=np.float32) - places[:, :1]
    across = np.arange(w, dtype=np.float32) - places[:, 1:]
    return np.asarray(np.sqrt((down**2)[:, :, None] + (across**2)[:, None, :]) + np.float32(_NEAR))


def _silenced(joints: NDArray[np.float32], nobody: float) -> NDArray[np.float32]:
    surest = np.sort(joints[:, 2])[-_SUREST:]
    if float(surest.mean()) < nobody:
        joints[:, 2] = 0
    return joints


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    x = np.clip(logits, -60, 60)
    np.exp(np.negative(x, out=x), out=x)
    x += 1
    return np.asarray(np.divide(1, x, out=x), np.float32)
