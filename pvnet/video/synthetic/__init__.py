"""Procedural videos of moving people with known joints and actions."""

from __future__ import annotations

from pvnet.video.synthetic.actions import ACTIONS, REVERSED_PAIRS
from pvnet.video.synthetic.body import Style
from pvnet.video.synthetic.render import body_height, draw_figure, render
from pvnet.video.synthetic.video import SyntheticFrame, SyntheticVideo, clip

__all__ = [
    "ACTIONS",
    "REVERSED_PAIRS",
    "Style",
    "SyntheticFrame",
    "SyntheticVideo",
    "body_height",
    "clip",
    "draw_figure",
    "render",
]
