"""Frames of video files: decoded, kept, probed, found in folders and in lists."""

from __future__ import annotations
