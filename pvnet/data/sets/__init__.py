"""Data sets, one file per kind: videos, J-HMDB, Kinetics, own folders, rendered figures."""

from __future__ import annotations
