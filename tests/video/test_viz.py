from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pvnet import viz
from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import JOINTS
from pvnet.video.raster import draw_disc, draw_line, draw_rectangle
from pvnet.viz.font import _table, text_mask
from pvnet.viz.pose import LEFT, RIGHT

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import refused


def black(h=80, w=100, dtype=np.uint8):
    return np.zeros((h, w, 3), dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_areas_of_shapes(dtype):
    """Coverage sums to the true area: that is what anti-aliasing means."""
    for draw, area in (
        (lambda i: draw_disc(i, (40.3, 30.7), 12.5, color=(255, 255, 255)), np.pi * 12.5**2),
        (
            lambda i: draw_line(i, (20.2, 20), (60, 45.5), color=(255, 255, 255), width=4),
            4 * np.hypot(39.8, 25.5) + np.pi * 4,
        ),
        (lambda i: draw_rectangle(i, 9.5, 9.5, 29.5, 49.5, color=(255, 255, 255)), 20 * 40),
    ):
        image = black(dtype=dtype)
        draw(image)
        assert image[..., 0].sum(dtype=float) / 255 == pytest.approx(area, rel=0.02)
        assert image.dtype == dtype


def test_shapes_outside_change_nothing():
    image = black()
    draw_disc(image, (-50, -50), 10, color=(255, 0, 0))
    draw_line(image, (float("nan"), 0), (5, 5), color=(255, 0, 0))
    draw_line(image, (300, 300), (400, 400), color=(255, 0, 0))
    viz.draw_text(image, "far", at=(500, 10))
    viz.draw_text(image, "far", at=(-500, -10))
    assert not image.any()


def test_every_glyph_is_its_own():
    glyphs = _table()[32:127]
    assert len({g.tobytes() for g in glyphs}) == 95
    assert not glyphs[0].any()
    assert all(g.any() for g in glyphs[1:])


def test_text_is_drawn_where_and_as_large_as_asked():
    image = black()
    viz.draw_text(image, "Tick 7", at=(5, 6), scale=2, shadow=0.0, color=(10, 200, 30))
    h, w = viz.text_size("Tick 7", scale=2)
    ink = image.any(-1)
    ys, xs = np.nonzero(ink)
    assert ys.min() == 6
    assert xs.min() == 5
    assert ys.max() < 6 + h
    assert xs.max() < 5 + w
    assert ink.sum() == text_mask("Tick 7", scale=2).sum()
    assert image.reshape(-1, 3).max(0).tolist() == [10, 200, 30]
    viz.draw_text(image, "é", at=(5, 40))
    viz.draw_text(image, "", at=(5, 40))


def standing():
    return np.array(
        [
            [50, 10],
            [60, 22], [40, 22], [66, 34], [34, 34], [68, 45], [32, 45],
            [56, 45], [44, 45], [57, 58], [43, 58], [57, 72], [43, 72],
        ],
        np.float32,
    )  # fmt: skip


def test_pose_colours_threshold_and_missing():
    image = black()
    scores = np.ones(13, np.float32)
    scores[JOINTS.index("left_wrist")] = 0.1
    joints = standing()
    joints[JOINTS.index("right_ankle")] = np.nan
    viz.draw_pose(image, joints, scores, thickness=2.0)
    left, right = image[28, 63].astype(int), image[28, 37].astype(int)
    assert np.abs(left - LEFT).max() < 60
    assert np.abs(right - RIGHT).max() < 60
    assert not image[44:48, 67:72].any()
    assert not image[70:75, 38:48].any()
    assert image[70:75, 52:62].any()
    faint, strong = black(), black()
    viz.draw_pose(faint, standing(), np.full(13, 0.3))
    viz.draw_pose(strong, standing(), np.full(13, 1.0))
    assert faint.sum() < 0.75 * strong.sum()
    nothing = black()
    viz.draw_pose(nothing, standing(), np.zeros(13))
    viz.draw_pose(nothing, np.full((13, 2), np.nan))
    assert not nothing.any()
    refused(InvalidArgumentError, viz.draw_pose, black(), standing()[:4])


def test_action_bars_are_as_long_as_their_probability():
    lengths = []
    for p in (0.25, 0.5, 1.0):
        image = black(120, 200)
        viz.draw_actions(image, ["wave", "jump"], [p, 0.0], top=1, scale=1)
        green = (image[..., 1] > 150) & (image[..., 0] < 120)
        lengths.append(int(green.any(0).sum()))
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=3)
    assert lengths[2] == pytest.approx(4 * lengths[0], abs=5)
    image = black()
    viz.draw_actions(image, ["a" * 90, "b", "c"], [np.nan, 0.5, 2.0], top=9)
    viz.draw_status(image, {"fps": 24.83, "stages": 5})
    viz.draw_label(image, "x" * 200)
    assert image[-5:].any()
    refused(InvalidArgumentError, viz.draw_actions, black(), ["a"], [0.1, 0.2])


def test_side_by_side():
    a, b = np.full((40, 50, 3), 200, np.uint8), np.full((20, 30, 3), 90, np.uint8)
    out = viz.hstack_labelled([a, b], ["one", "two"], gap=4)
    assert out.shape[1] == 50 + 60 + 3 * 4
    assert (out[-24, 20] == 200).all()
    assert (out[-24, 80] == 90).all()
    refused(InvalidArgumentError, viz.hstack_labelled, [], [])
    refused(InvalidArgumentError, viz.hstack_labelled, [a], ["a", "b"])


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_decoding_finds_gaussian_bumps_below_a_pixel(stride):
    rng = np.random.default_rng(0)
    size, margin = (96, 128), 12 + 4 * stride
    truth = rng.uniform((margin, margin), (127 - margin, 95 - margin), (13, 2))
    y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
    cell = (truth + 0.5) / stride - 0.5
    d2 = (x - cell[:, :1, None]) ** 2 + (y - cell[:, 1:, None]) ** 2
    joints, scores = viz.decode_heatmaps(3 - d2 / (2 * 1.5**2), size)
    assert np.abs(joints - truth).max() < 0.015 * stride  # a sigmoid is no Gaussian
    assert scores.shape == (13,)
    assert (scores > 0.9).all()
    bumps = np.exp(-d2 / (2 * 1.5**2))
    plain, value = viz.decode_heatmaps(bumps, size, logits=False)
    assert np.abs(plain - truth).max() < 0.02
    assert (value <= 1).all()
    rough, _ = viz.decode_heatmaps(3 - d2 / (2 * 1.5**2), size, smooth=0)
    assert np.abs(rough - truth).max() < 0.02


def test_decoding_takes_the_hill_and_not_the_highest_cell():
    y, x = np.mgrid[:24, :32]
    hill = 0.5 * np.exp(-((x - 20) ** 2 + (y - 12) ** 2) / (2 * 3.0**2))
    heat = hill[None].copy()
    heat[0, 5, 6] = 0.7  # alone
    found, score = viz.decode_heatmaps(heat, (24, 32), logits=False)
    np.testing.assert_allclose(found, [[20, 12]], atol=0.05)
    assert score[0] == pytest.approx(0.7)
    alone, _ = viz.decode_heatmaps(heat, (24, 32), logits=False, smooth=0)
    np.testing.assert_allclose(alone, [[6, 5]], atol=1e-4)
    for smooth in (-1, np.nan):
        refused(InvalidArgumentError, viz.decode_heatmaps, heat, (24, 32), smooth=smooth)


def test_decoding_at_the_border_is_drawn_inwards_by_about_half_a_cell():
    y, x = np.mgrid[:24, :32]
    for at in np.arange(0, 3, 0.1):
        bump = np.exp(-((x - at) ** 2 + (y - 12) ** 2) / (2 * 1.2**2))
        found, _ = viz.decode_heatmaps(bump[None], (24, 32), logits=False)
        assert -0.01 < found[0, 0] - at < 0.6


def test_peaks_at_the_edges_and_maps_of_nan_are_decoded():
    heat = np.full((3, 5, 6), -9.0)
    heat[0, 0, 0] = heat[1, 4, 5] = 5.0
    heat[2] = np.nan
    joints, scores = viz.decode_heatmaps(heat, (5, 6))
    assert joints[:2].tolist() == [[0, 0], [5, 4]]
    assert scores[2] < 1e-6
    assert np.isfinite(joints).all()
    one, _ = viz.decode_heatmaps(np.zeros((1, 1, 1)), (10, 20))
    assert one.tolist() == [[9.5, 4.5]]
    refused(InvalidArgumentError, viz.decode_heatmaps, np.zeros((4, 4)), (5, 6))


def test_heatmaps_tint_the_picture_where_they_are_high():
    image = np.full((40, 60, 3), 100, np.uint8)
    heat = np.zeros((13, 10, 15), np.float32)
    heat[1, 2, 3] = 1.0
    viz.draw_heatmaps(image, heat)
    assert image[10, 14, 2] > 140
    assert (image[30, 50] == 100).all()
    refused(InvalidArgumentError, viz.draw_heatmaps, image, heat[0])
