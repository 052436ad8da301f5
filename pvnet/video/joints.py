"""The 13 joints of a person: names, order, mirror image, skeleton."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError

JOINTS: tuple[str, ...] = (
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""Joint names; left and right are the person's own."""

FLIP: tuple[int, ...] = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11)
"""Joint j of a mirrored picture is joint FLIP[j] of the picture."""

SKELETON: tuple[tuple[int, int], ...] = (
    (1, 2),
    (1, 7),
    (2, 8),
    (7, 8),
    (1, 3),
    (3, 5),
    (2, 4),
    (4, 6),
    (7, 9),
    (9, 11),
    (8, 10),
    (10, 12),
)
"""Bones as pairs of joints; the neck (head to the middle of the shoulders) is drawn apart."""

SIDE: tuple[int, ...] = (0, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1)
"""-1 for joints of the person's left, 1 for the right, 0 for the middle."""


def flip_joints(joints: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Joints of the horizontally mirrored image.

    Args:
        joints: [..., 13, 2] float32, pixel x and y.
        width: image width in pixels.

    Returns:
        [..., 13, 2] float32: x becomes width - 1 - x, and left and right are exchanged.

    Raises:
        InvalidArgumentError: if the last two sizes are not (13, 2).
    """
    if joints.shape[-2:] != (len(JOINTS), 2):
        raise InvalidArgumentError(
            f"[video.flip_joints] shape of joints: got {joints.shape}, expected [..., 13, 2]. "
            "Pass pixel x, y of the 13 joints."
        )
    out = joints[..., list(FLIP), :].astype(np.float32)
    out[..., 0] = np.float32(width - 1) - out[..., 0]
    return out
