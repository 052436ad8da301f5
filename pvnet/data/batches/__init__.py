"""Clips as batches for training: changed at random, in order, or kept on the device."""

from __future__ import annotations
