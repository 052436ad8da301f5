"""A picture of what a network says beside what it should say, for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

_SIDE = 128  # pixels that a panel has at least


def prediction_picture(
    frames: Tensor, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor] | None
) -> Tensor:
    """The last tick of the first clip: the frame, then every output, the teacher's before ours.

    A map is shown by its largest channel, a vector as bars of its values.

    Args:
        frames: [b, c, t, h, w], uint8 or float.
        outputs: by name, [b, c, t, h, w] or [b, c, t].
        targets: the same of the teacher; None without one.

    Returns:
        uint8 [3, h, w].
    """
    newest = frames[0, :, -1].float()
    h, w = (max(_SIDE, n) for n in newest.shape[1:])
    panels = [_fitted(_stretched(newest.mean(dim=0) if len(newest) != 3 else newest), h, w)]
    for name, values in outputs.items():
        ours = values[0, :, -1].float()
        sides = [ours] if targets is None else [targets[name][0, :, -1].float(), ours]
        low = min(float(s.min()) for s in sides)
        high = max(float(s.max()) for s in sides)
        panels += [_fitted(_panel(s, low, high), h, w) for s in sides]
    return (torch.cat(panels, dim=2).clamp(0, 1) * 255).round().to(torch.uint8)


def _stretched(values: Tensor) -> Tensor:
    low, high = float(values.min()), float(values.max())
    return (values - low) / max(high - low, 1e-12)


def _panel(values: Tensor, low: float, high: float) -> Tensor:
    """Values [c] or [c, h, w] as brightness, from `low` to `high`."""
    scaled = (values - low) / max(high - low, 1e-12)
    if values.dim() == 3:
        return scaled.amax(dim=0)
    # The bar of channel k is row k, its length the value.
    along = torch.linspace(0, 1, _SIDE, device=values.device)
    return (along[None] <= scaled[:, None]).float()


def _fitted(panel: Tensor, h: int, w: int) -> Tensor:
    """[3, h, w] of a panel [h, w] or [3, h, w]."""
    coloured = panel[None].expand(3, -1, -1) if panel.dim() == 2 else panel
    return F.interpolate(coloured[None].cpu(), size=(h, w), mode="nearest")[0]
