from __future__ import annotations

import numpy as np
import pytest
from data_helpers import refused
from hypothesis import given, settings
from hypothesis import strategies as st

from pvnet.data.batches.augment import Augment
from pvnet.data.clips import Clip
from pvnet.data.resample import Box, resample
from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import FLIP
from pvnet.video.raster import draw_disc

NONE = Augment.parse("none")


def dots(h=60, w=80, t=2, seed=0):
    """A clip with a white dot at every joint."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform([14, 14], [w - 15, h - 15], (t, 13, 2)).astype(np.float32)
    joints[:, 1:] = joints[:, :1] + 100  # one dot a frame; the others are elsewhere
    frames = np.zeros((t, h, w, 3), np.float32)
    for image, j in zip(frames, joints):
        draw_disc(image, tuple(j[0]), 3.0, color=(255, 255, 255))
    visible = np.zeros((t, 13), bool)
    visible[:, 0] = True
    return Clip(frames.astype(np.uint8), joints, visible, 2, "x", 25.0)


def centre(image):
    weight = image.astype(float).mean(axis=-1)
    y, x = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("seed", range(8))
def test_pictures_and_joints_move_together(seed):
    clip = dots(seed=seed)
    strong = Augment(zoom=0.3, shift=0.05, stretch=0.3, flip=0.5, brightness=0, contrast=0,
                     saturation=0, tint=0)  # fmt: skip
    got = strong(clip, np.random.default_rng(seed))
    for t in range(2):
        if got.visible[t, 0]:
            np.testing.assert_allclose(got.joints[t, 0], centre(got.frames[t]), atol=0.35)
    assert clip.frames.max() == 255  # the given clip is left as it is


def test_nothing_changes_without_strengths():
    clip = dots()
    got = NONE(clip, np.random.default_rng(0))
    np.testing.assert_array_equal(got.frames, clip.frames)
    np.testing.assert_array_equal(got.joints, clip.joints)


def test_mirror_image_exchanges_sides_and_labels():
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 40, (3, 13, 2)).astype(np.float32)
    visible = rng.random((3, 13)) < 0.5
    frames = rng.integers(0, 256, (3, 40, 50, 3)).astype(np.uint8)
    clip = Clip(frames, joints, visible, 1, "x", 25.0)
    got = Augment.parse("none").__class__(**{**NONE.__dict__, "flip": 1.0})(
        clip, rng, mirror_labels=(0, 2, 1)
    )
    np.testing.assert_array_equal(got.frames, frames[:, :, ::-1])
    np.testing.assert_allclose(got.joints[:, 1, 0], 49 - joints[:, 2, 0])
    np.testing.assert_array_equal(got.visible, visible[:, list(FLIP)])
    assert got.label == 2


def test_joints_that_leave_the_picture_become_invisible():
    joints = np.full((1, 13, 2), 2.0, np.float32)
    clip = Clip(np.zeros((1, 40, 40, 3), np.uint8), joints, np.ones((1, 13), bool), 0, "x", 25.0)
    seen = []
    for seed in range(40):
        got = Augment(zoom=0.5, shift=0.2, flip=0)(clip, np.random.default_rng(seed))
        inside = ((got.joints >= -0.5) & (got.joints < 39.5)).all(-1)
        np.testing.assert_array_equal(got.visible, inside)
        seen.append(got.visible[0, 0])
    assert 0 < sum(seen) < 40


def test_colours_change_the_same_way_in_every_frame():
    frames = np.tile(np.random.default_rng(0).integers(60, 190, (1, 8, 8, 3)), (3, 1, 1, 1))
    clip = Clip(frames.astype(np.uint8), None, None, 0, "x", 25.0)
    only = Augment(zoom=0, shift=0, stretch=0, flip=0)
    got = only(clip, np.random.default_rng(1)).frames
    assert (got != clip.frames).mean() > 0.9
    np.testing.assert_array_equal(got[0], got[2])
    noisy = Augment(zoom=0, shift=0, stretch=0, flip=0, noise=4.0)
    got = noisy(clip, np.random.default_rng(1)).frames.astype(float)
    assert 2 < (got[0] - got[1]).std() / np.sqrt(2) < 6


def test_settings_out_of_a_text():
    assert Augment.parse("default") == Augment()
    assert Augment.parse("flip=0, zoom=0.1") == Augment(flip=0.0, zoom=0.1)
    for bad in ("flop=1", "zoom", "zoom=x", "flip=2", "zoom=-1"):
        refused(InvalidArgumentError, Augment.parse, bad)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 9),
)
def test_resizing_keeps_flat_pictures_and_ramps(h, w, oh, ow, seed):
    rng = np.random.default_rng(seed)
    flat = np.full((1, h, w, 3), 93, np.uint8)
    x0, y0 = rng.uniform(-5, w), rng.uniform(-5, h)
    box = Box(x0, y0, x0 + rng.uniform(0.5, 2 * w), y0 + rng.uniform(0.5, 2 * h))
    assert (resample(flat, box, (oh, ow)) == 93).all()


def test_resizing_a_ramp_is_exact_inside():
    ramp = np.tile((4 * np.arange(60, dtype=np.uint8))[None, None, :, None], (1, 30, 1, 3))
    got = resample(ramp, Box(10, 5, 50, 25), (20, 80)).astype(float)
    want = 4 * (10 + (np.arange(80) + 0.5) / 2 - 0.5)
    np.testing.assert_allclose(got[0, 10, :, 0], want, atol=0.51)
    small = resample(ramp, Box(12, 6, 48, 24), (6, 9)).astype(float)  # four times smaller
    np.testing.assert_allclose(
        small[0, 3, :, 1], 4 * (12 + 4 * (np.arange(9) + 0.5) - 0.5), atol=0.6
    )
