from __future__ import annotations

import numpy as np
import pytest

from pvnet.errors import InvalidArgumentError
from pvnet.models import draw_heatmaps, find_joints


def test_found_joints_are_the_drawn_ones():
    rng = np.random.default_rng(0)
    joints = rng.uniform((4.0, 4.0), (90.0, 122.0), size=(5, 13, 2)).astype(np.float32)
    maps = draw_heatmaps(joints, (32, 24))
    assert maps.shape == (5, 13, 32, 24)
    logits = np.log(np.clip(maps, 1e-6, 1 - 1e-6) / (1 - np.clip(maps, 1e-6, 1 - 1e-6)))
    found, scores = find_joints(logits)
    assert np.abs(found - joints).max() < 1.5  # of 4 pixels per cell
    assert scores.min() > 0.6


def test_a_peak_at_the_centre_of_a_cell():
    logits = np.full((1, 6, 8), -30.0, np.float32)
    logits[0, 2, 5] = 9.0
    found, scores = find_joints(logits)
    np.testing.assert_allclose(found, [[5 * 4 + 1.5, 2 * 4 + 1.5]], atol=1e-4)
    assert scores[0] > 0.99


def test_corners_and_flat_maps_stay_inside():
    logits = np.zeros((2, 4, 4), np.float32)
    logits[1, 3, 3] = 5.0
    found, _ = find_joints(logits)
    assert np.isfinite(found).all()
    assert found.min() >= -0.5
    assert found.max() <= 15.5


def test_missing_axes_are_refused(message):
    with pytest.raises(InvalidArgumentError) as error:
        find_joints(np.zeros((4, 4), np.float32))
    assert message.match(str(error.value))
