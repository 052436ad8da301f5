"""Joints to heatmaps and back, in numpy: what the outputs of Par-DenseNet mean.

Cell (row, column) of a heatmap covers stride x stride pixels; pixel centres are at integer
coordinates, so the centre of column u is at x = (u + 0.5) * stride - 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError


def draw_heatmaps(
    joints: NDArray[np.float32], size: tuple[int, int], *, stride: int = 4, sigma: float = 1.2
) -> NDArray[np.float32]:
    """The heatmaps a network should give: a Gaussian around every joint.

    Args:
        joints: [..., j, 2] pixel x, y.
        size: (h, w) of the heatmaps in cells.
        stride: pixels per cell.
        sigma: of the Gaussian in cells.

    Returns:
        [..., j, h, w] float32 in [0, 1].
    """
    cells = (np.asarray(joints, np.float32) + 0.5) / stride - 0.5
    columns = np.arange(size[1], dtype=np.float32) - cells[..., 0, None]
    rows = np.arange(size[0], dtype=np.float32) - cells[..., 1, None]
    scale = np.float32(-0.5 / sigma**2)
    drawn = np.exp(scale * rows**2)[..., :, None] * np.exp(scale * columns**2)[..., None, :]
    return np.asarray(drawn, np.float32)


def find_joints(
    heatmaps: NDArray[np.float32], *, stride: int = 4
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The peak of every heatmap, to a fraction of a cell.

    Args:
        heatmaps: [..., j, h, w] logits.
        stride: pixels per cell.

    Returns:
        joints [..., j, 2] float32 pixel x, y: the score-weighted mean of the 3 x 3 cells around
        the highest; and scores [..., j] float32, the sigmoid of the highest.

    Raises:
        InvalidArgumentError: fewer than 3 dimensions.
    """
    maps = np.asarray(heatmaps, np.float32)
    if maps.ndim < 3 or 0 in maps.shape:
        raise InvalidArgumentError(
            f"[models.find_joints] shape of heatmaps: got {maps.shape}, expected [..., j, h, w]. "
            "Pass the output of Par-DenseNet."
        )
    h, w = maps.shape[-2:]
    flat = maps.reshape(-1, h * w)
    row, column = np.divmod(flat.argmax(axis=1), w)
    scores = 1.0 / (1.0 + np.exp(-np.clip(maps.reshape(-1, h, w), -60.0, 60.0)))
    padded = np.pad(scores, ((0, 0), (1, 1), (1, 1)))
    n = np.arange(len(flat))
    around = np.stack(
        [padded[n, row + i, column + k] for i in range(3) for k in range(3)], axis=1
    ).reshape(-1, 3, 3)
    weight = around / np.maximum(around.sum(axis=(1, 2), keepdims=True), 1e-12)
    offsets = np.arange(-1.0, 2.0)
    u = column + (weight.sum(axis=1) * offsets).sum(axis=1)
    v = row + (weight.sum(axis=2) * offsets).sum(axis=1)
    cells = np.stack([u, v], axis=-1).reshape(*maps.shape[:-2], 2)
    joints = ((cells + 0.5) * stride - 0.5).astype(np.float32)
    return joints, scores[n, row, column].reshape(maps.shape[:-2]).astype(np.float32)
