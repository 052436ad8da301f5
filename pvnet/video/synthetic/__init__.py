"""Procedural videos of moving people with known joints and actions."""

from __future__ import annotations

from .actions import ACTIONS, REVERSED_PAIRS
from .body import Style
from .render import body_height, draw_figure, render
from .video import SyntheticFrame, SyntheticVideo, clip

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
