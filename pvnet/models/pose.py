"""Joints of one frame from the maps of a joints network, by `pvnet.decode`."""

from __future__ import annotations

from pvnet.decode.around_center import CENTERED, NOBODY, OF_COCO, decode, is_centered

__all__ = ["CENTERED", "NOBODY", "OF_COCO", "decode", "is_centered"]
