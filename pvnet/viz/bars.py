"""Text panels over pictures: action probabilities and a status line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.viz.font import GLYPH_HEIGHT, draw_text, text_size
from pvnet.viz.shapes import draw_rectangle

_PANEL = (12, 15, 20)
_FIRST = (86, 204, 140)
_OTHER = (112, 134, 160)


def text_scale(image: NDArray[Any]) -> int:
    """A font scale that suits the picture's size."""
    return max(1, round(int(min(image.shape[:2])) / 260))


def draw_actions(
    image: NDArray[Any],
    labels: Sequence[str],
    probabilities: ArrayLike,
    *,
    top: int = 3,
    scale: int | None = None,
    at: tuple[int, int] | None = None,
) -> None:
    """Draw the most probable actions as bars with labels, in place.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255.
        labels: n names.
        probabilities: [n] in 0..1; values that are not finite count as 0.
        top: how many to show.
        scale: pixels per font pixel (None: by the picture's size).
        at: (x, y) of the upper left corner of the panel (None: a corner margin).

    Raises:
        InvalidArgumentError: if there are not as many labels as probabilities.
    """
    p = np.nan_to_num(np.asarray(probabilities, np.float32).ravel(), nan=0.0)
    if len(p) != len(labels):
        raise InvalidArgumentError(
            f"[viz.draw_actions] probabilities: got {len(p)}, expected {len(labels)}, one per "
            "label. Pass the labels of this network."
        )
    order = np.argsort(-p, kind="stable")[:top]
    if len(order) == 0:
        return
    s = scale or text_scale(image)
    x0, y0 = at or (3 * s, 3 * s)
    names = [str(labels[i]).replace("_", " ") for i in order]
    wide = max(max(text_size(f"{n} 100%", scale=s)[1] for n in names), 70 * s)
    wide = min(wide, image.shape[1] - x0 - 8 * s)
    row = (GLYPH_HEIGHT + 6) * s
    panel = (x0, y0, x0 + wide + 5 * s, y0 + row * len(order) + 2 * s)
    draw_rectangle(image, *panel, color=_PANEL, opacity=0.62, corner=2.5 * s)
    for k, i in enumerate(order):
        x, y = x0 + 3 * s, y0 + 3 * s + k * row
        color = _FIRST if k == 0 else _OTHER
        value = f"{100 * float(np.clip(p[i], 0, 1)):.0f}%"
        ink = (255, 255, 255) if k == 0 else (196, 202, 210)
        vw = text_size(value, scale=s)[1]
        room = max(0, (wide - vw - 2 * s) // (6 * s))
        draw_text(image, names[k][:room], at=(x, y), scale=s, shadow=0.0, color=ink)
        draw_text(image, value, at=(x + wide - vw - s, y), scale=s, shadow=0.0, color=ink)
        bar = y + (GLYPH_HEIGHT + 0.5) * s
        full = (x, bar, x + wide - s, bar + 2 * s)
        draw_rectangle(image, *full, color=(70, 76, 86), opacity=0.8, corner=s)
        length = float(np.clip(p[i], 0, 1)) * (wide - s)
        if length >= 0.5:
            draw_rectangle(image, x, bar, x + length, bar + 2 * s, color=color, corner=s)


def draw_status(
    image: NDArray[Any],
    status: Mapping[str, object] | str,
    *,
    scale: int | None = None,
) -> None:
    """Draw a line of text along the lower edge, in place.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255.
        status: text, or names and values ("fps": 24.8, "stages": 5, ...), floats to one decimal.
        scale: pixels per font pixel (None: by the picture's size).
    """
    if not isinstance(status, str):
        status = "  ".join(
            f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v}" for k, v in status.items()
        )
    s = scale or text_scale(image)
    h, w = image.shape[:2]
    top = h - (GLYPH_HEIGHT + 4) * s
    draw_rectangle(image, -2, top, w + 2, h + 2, color=_PANEL, opacity=0.68)
    draw_text(image, status[: max(0, (w - 4 * s) // (6 * s))], at=(3 * s, top + 3 * s), scale=s)


def draw_label(image: NDArray[Any], text: str, *, scale: int | None = None) -> None:
    """Draw a caption along the upper edge, in place."""
    s = scale or text_scale(image)
    w = image.shape[1]
    draw_rectangle(image, -2, -2, w + 2, (GLYPH_HEIGHT + 3) * s, color=_PANEL, opacity=0.75)
    draw_text(image, text[: max(0, (w - 4 * s) // (6 * s))], at=(3 * s, 3 * s), scale=s)
