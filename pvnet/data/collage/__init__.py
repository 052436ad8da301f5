"""Clips in which people are put elsewhere: cut out, holes filled, bent to other poses."""

from __future__ import annotations
