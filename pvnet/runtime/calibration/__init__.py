"""Ranges of every node's values over videos, for `compile(dtype="int8")`."""

from __future__ import annotations
