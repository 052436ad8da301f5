"""Pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.viz.bars import text_scale
from pvnet.viz.font import ADVANCE, GLYPH_HEIGHT, draw_text

_BACKGROUND = (20, 23, 29)


def resize_nearest(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] by repeating and leaving out pixels."""
    rows = (np.arange(height) * image.shape[0]) // height
    columns = (np.arange(width) * image.shape[1]) // width
    return np.ascontiguousarray(image[rows[:, None], columns[None, :]])


def hstack_labelled(
    images: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    *,
    gap: int = 6,
    height: int | None = None,
) -> NDArray[np.uint8]:
    """Pictures beside each other, each under its caption.

    Args:
        images: uint8 [h, w, 3] each; they may differ in size.
        labels: a caption per picture; what does not fit is cut off.
        gap: pixels between and around them.
        height: common height (None: that of the tallest).

    Returns:
        uint8 [h, w, 3].

    Raises:
        InvalidArgumentError: without pictures, for other shapes, or another number of labels.
    """
    bad = [i.shape for i in images if i.ndim != 3 or i.shape[2] != 3 or i.dtype != np.uint8]
    if not images or bad or len(images) != len(labels):
        raise InvalidArgumentError(
            f"[viz.hstack_labelled] pictures: got {len(images)} pictures, {len(labels)} labels, "
            f"wrong ones {bad}, expected at least one uint8 [h, w, 3] and as many labels. "
            "Pass matching lists."
        )
    h = height or max(i.shape[0] for i in images)
    same = [
        i if i.shape[0] == h else resize_nearest(i, h, max(1, round(i.shape[1] * h / i.shape[0])))
        for i in images
    ]
    s = text_scale(same[0])
    top = (GLYPH_HEIGHT + 4) * s
    wide = sum(i.shape[1] for i in same) + gap * (len(same) + 1)
    out = np.empty((h + top + gap, wide, 3), np.uint8)
    out[:] = _BACKGROUND
    x = gap
    for image, label in zip(same, labels):
        out[top : top + h, x : x + image.shape[1]] = image
        fits = max(0, image.shape[1] // (ADVANCE * s))
        draw_text(out, label[:fits], at=(x + s, 3 * s), scale=s, shadow=0.0)
        x += image.shape[1] + gap
    return out
