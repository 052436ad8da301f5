"""Joints from maps: the decoding around a centre, plain heatmaps, nobody, wrong maps."""

from __future__ import annotations

import numpy as np
import pytest

from pvnet.errors import InvalidArgumentError
from pvnet.models import pose
from pvnet.video.joints import JOINTS

SIZE = (192, 192)


def maps(h: int = 48, w: int = 48) -> dict[str, np.ndarray]:
    """Maps on which nothing is seen."""
    channels = {"heatmaps": 17, "offsets": 34, "center": 1, "regression": 34}
    low = {"heatmaps": -9.0, "center": -9.0}
    return {n: np.full((c, h, w), low.get(n, 0.0), np.float32) for n, c in channels.items()}


def person(at: dict[int, tuple[int, int]], center: tuple[int, int]) -> dict[str, np.ndarray]:
    """Maps with COCO joints at cells (y, x), of a person around a centre."""
    found = maps()
    found["center"][0][center] = 3.0
    for joint, (y, x) in at.items():
        found["heatmaps"][joint, y, x] = 3.0
        found["regression"][2 * joint : 2 * joint + 2, *center] = y - center[0], x - center[1]
    return found


@pytest.fixture
def standing() -> dict[str, np.ndarray]:
    cells = {j: (10 + j, 20 + j % 3) for j in range(17)}
    return person(cells, (20, 21))


def test_joint_lies_in_its_cell_by_the_offset(standing):
    standing["offsets"][2 * 9 : 2 * 9 + 2, 19, 20] = 0.25, 0.75
    joints = pose.decode(standing, SIZE)
    assert joints.shape == (13, 3)
    left_wrist = joints[JOINTS.index("left_wrist")]
    assert left_wrist[:2] == pytest.approx([(20 + 0.75) * 4 - 0.5, (19 + 0.25) * 4 - 0.5])
    assert left_wrist[2] == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_nose_is_the_head_and_eyes_and_ears_are_left_out(standing):
    joints = pose.decode(standing, SIZE)
    wanted = [(20 + j % 3, 10 + j) for j in pose.OF_COCO]
    assert np.allclose((joints[:, :2] + 0.5) / 4, wanted, atol=1e-4)


def test_another_persons_peak_is_too_far_away(standing):
    standing["heatmaps"][9, 40, 44] = 3.5  # a wrist far from where the centre expects one
    joints = pose.decode(standing, SIZE)
    assert joints[JOINTS.index("left_wrist"), 1] == pytest.approx(19 * 4 - 0.5)


def test_person_in_the_middle_wins(standing):
    aside = person({j: (j, 2) for j in range(17)}, (8, 2))
    both = {n: np.maximum(v, aside[n]) for n, v in standing.items()}
    assert np.array_equal(pose.decode(both, SIZE), pose.decode(standing, SIZE))


def test_nobody_has_no_confidence(standing):
    assert not pose.decode(maps(), SIZE)[:, 2].any()
    faint = {**standing, "heatmaps": standing["heatmaps"] - 5.0}
    assert not pose.decode(faint, SIZE)[:, 2].any()
    assert pose.decode(faint, SIZE, nobody=0)[:, 2].all()


def test_pixels_are_those_of_the_frame(standing):
    small, large = (pose.decode(standing, size) for size in ((96, 96), (192, 384)))
    assert np.allclose((large[:, 0] + 0.5) / 4, small[:, 0] + 0.5)
    assert np.allclose((large[:, 1] + 0.5) / 2, small[:, 1] + 0.5)


def test_plain_heatmaps_are_decoded_by_their_peaks():
    heat = np.full((13, 24, 32), -9.0, np.float32)
    heat[3, 5:8, 9:12] = 2.0
    heat[3, 6, 10] = 4.0
    joints = pose.decode({"anything": heat[None]}, (96, 128))
    assert joints[3, :2] == pytest.approx([10.5 * 4 - 0.5, 6.5 * 4 - 0.5], abs=0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"heatmaps": np.zeros((17, 4, 4))},
        {"logits": np.zeros(13)},
        {**maps(), "offsets": np.zeros((17, 48, 48))},
    ],
)
def test_other_maps_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match=r"\[decode\]"):
        pose.decode(wrong, SIZE)
