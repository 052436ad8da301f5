"""Joints of people in videos by an off-the-shelf pose estimator, and how good they are."""

from __future__ import annotations
