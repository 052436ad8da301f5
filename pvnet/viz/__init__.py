"""Drawing results over pictures: by the core, and OpenCV where it is installed."""

from __future__ import annotations

from pvnet.decode.heatmaps import decode_heatmaps
from pvnet.viz.bars import draw_actions, draw_label, draw_status
from pvnet.viz.font import draw_text, text_size
from pvnet.viz.heatmaps import draw_heatmaps
from pvnet.viz.layout import hstack_labelled
from pvnet.viz.pose import draw_pose

__all__ = [
    "decode_heatmaps",
    "draw_actions",
    "draw_heatmaps",
    "draw_label",
    "draw_pose",
    "draw_status",
    "draw_text",
    "hstack_labelled",
    "text_size",
]
