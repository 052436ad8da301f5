"""Clips in which people are put elsewhere: cut out, holes inpainted, bent to other poses."""

from __future__ import annotations
