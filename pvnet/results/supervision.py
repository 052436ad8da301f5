"""Joints of a tick for `supervision` (Roboflow): its annotators, trackers and sinks take them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from pvnet.distribution import load
from pvnet.results.rows import BONES
from pvnet.runtime import Tick

# For supervision.EdgeAnnotator, which counts joints from 1.
EDGES: tuple[tuple[int, int], ...] = tuple((a + 1, b + 1) for a, b in BONES)


def key_points(tick: Tick) -> Any:
    """A `supervision.KeyPoints` of the valid rows of a tick, one person a row.

    Args:
        tick: of a network that gives joints. Pixels are those of `Tick.joints`.

    Raises:
        MissingPackageError: supervision is not installed.
        UnsupportedError: the network gives no joints.
    """
    package = load("supervision", "results.supervision")
    joints = tick.joints[np.asarray(tick.valid, bool)]
    scores = np.ascontiguousarray(joints[:, :, 2])
    kind = package.KeyPoints
    # Newer versions tell the confidence of a joint from that of a person.
    newer = "keypoint_confidence" in inspect.signature(kind).parameters
    return kind(
        xy=np.ascontiguousarray(joints[:, :, :2]),
        class_id=np.zeros(len(joints), int),
        **{"keypoint_confidence" if newer else "confidence": scores},
    )
