"""OpenCV draws what pvnet's own code draws, up to the edges of shapes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pvnet import viz
from pvnet.video.synthetic import SyntheticVideo
from pvnet.viz import shapes
from pvnet.viz.shapes import draw_disc, draw_line, draw_rectangle, own_code

WHITE = (255, 255, 255)
FRAME = next(SyntheticVideo(seed=3, height=240, width=320))
HEAT = np.random.default_rng(0).uniform(0, 1, (13, 8, 6)).astype(np.float32) ** 2

DRAWN = {
    "line": lambda i: draw_line(i, (20.2, 30), (160.7, 85.5), color=(255, 40, 0), width=4.6),
    "thin line": lambda i: draw_line(i, (9, 200), (300, 30.5), color=WHITE, width=2, opacity=0.5),
    "point": lambda i: draw_line(i, (50, 50), (50, 50), color=WHITE, width=5),
    "cut line": lambda i: draw_line(i, (-40, -20), (500, 400), color=WHITE, width=9),
    "disc": lambda i: draw_disc(i, (40.3, 30.7), 12.5, color=(10, 200, 30), opacity=0.8),
    "small disc": lambda i: draw_disc(i, (140.4, 30.9), 3.2, color=WHITE, opacity=0.9),
    "cut disc": lambda i: draw_disc(i, (-3.3, 120), 25, color=WHITE),
    "rectangle": lambda i: draw_rectangle(i, 9.5, 9.5, 99.5, 49.5, color=WHITE, opacity=0.7),
    "round": lambda i: draw_rectangle(i, 9, 9, 99.3, 49.6, color=(9, 9, 250), corner=6),
    "bar": lambda i: draw_rectangle(i, 20, 100, 80.4, 104, color=WHITE, corner=2),
    "band": lambda i: draw_rectangle(i, -2, 200, 400, 300, color=(12, 15, 20), opacity=0.68),
    "text": lambda i: viz.draw_text(i, "Tick 7, age", at=(250, 6), scale=2, color=(10, 200, 30)),
    "pose": lambda i: viz.draw_pose(i, FRAME.joints, np.linspace(0.1, 1, 13)),
    "actions": lambda i: viz.draw_actions(i, ["wave", "jump_up"], [0.7, 0.2]),
    "heatmaps": lambda i: viz.draw_heatmaps(i, HEAT),
}


@pytest.fixture(autouse=True)
def opencv():
    return pytest.importorskip("cv2")


def both(draw, image):
    """The picture by OpenCV and by own code."""
    first, second = image.copy(), image.copy()
    draw(first)
    with own_code():
        draw(second)
    return first, second


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("ground", ["black", "frame"])
def test_both_draw_the_same_up_to_edges(name, ground):
    image = FRAME.image.copy() if ground == "frame" else np.zeros((240, 320, 3), np.uint8)
    first, second = both(DRAWN[name], image)
    changed = (second != image).any(-1)
    assert changed.any()
    off = np.abs(first.astype(int) - second).max(-1)
    # An edge may lie a fraction of a pixel beside; nothing is drawn elsewhere, nothing is missing.
    assert off.max() <= 130
    assert off[changed].mean() <= 16
    near = np.zeros_like(changed)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near |= np.roll(changed, (dy, dx), (0, 1))
    assert off[~near].max(initial=0) == 0


@pytest.mark.parametrize(
    ("draw", "area"),
    [
        (lambda i: draw_disc(i, (40.3, 30.7), 12.5, color=WHITE), np.pi * 12.5**2),
        (lambda i: draw_line(i, (20.2, 20), (160, 45.5), color=WHITE, width=6), 6 * 142.1 + 28.3),
        (lambda i: draw_rectangle(i, 9.5, 9.5, 69.5, 49.5, color=WHITE), 60 * 40),
    ],
)
def test_areas_are_the_same(draw, area):
    for image in both(draw, np.zeros((240, 320, 3), np.uint8)):
        assert image[..., 0].sum(dtype=float) / 255 == pytest.approx(area, rel=0.08)


@pytest.mark.parametrize("size", [(240, 320), (270, 480), (241, 331), (32, 24), (20, 20)])
def test_a_heatmap_tints_only_around_its_heat(size):
    image = np.resize(FRAME.image, (*size, 3))
    heat = np.zeros((13, 32, 24), np.float32)
    heat[1, 9, 20] = 1
    first, second = both(lambda i: viz.draw_heatmaps(i, heat), image)
    assert (first != image).any()
    assert np.abs(first.astype(int) - second).max() <= 3
    far = np.ones(size, bool)
    h, w = size
    far[8 * h // 32 : 11 * h // 32 + 1, 19 * w // 24 : 22 * w // 24 + 1] = False
    assert (first[far] == image[far]).all()


def test_a_heatmap_without_heat_changes_nothing():
    image = FRAME.image.copy()
    viz.draw_heatmaps(image, np.zeros((13, 8, 6), np.float32))
    assert (image == FRAME.image).all()


def test_a_rectangle_that_was_drawn_before_is_drawn_where_it_is_now():
    for x, y in ((10, 20), (200, 150), (200.5, 150), (-8, 230)):
        for color in (WHITE, (200, 10, 30)):
            first, second = both(
                lambda i, x=x, y=y, c=color: draw_rectangle(
                    i, x, y, x + 40, y + 20, color=c, opacity=0.6, corner=5
                ),
                FRAME.image,
            )
            assert np.abs(first.astype(int) - second).max() <= 3
            assert (first != FRAME.image).any()


def test_text_and_inside_of_shapes_are_the_same_bits_up_to_rounding():
    image = FRAME.image
    for draw in (
        DRAWN["text"],
        DRAWN["band"],
        DRAWN["heatmaps"],
        lambda i: draw_disc(i, (100, 100), 900, color=(7, 90, 200), opacity=0.37),
    ):
        first, second = both(draw, image)
        assert np.abs(first.astype(int) - second).max() <= 3


def test_pictures_that_opencv_cannot_draw_into_are_drawn_all_the_same():
    flipped, floats = FRAME.image.copy()[:, ::-1], FRAME.image.astype(np.float32)
    view = np.zeros((240, 400, 3), np.uint8)[:, 40:360]
    view[...] = FRAME.image
    for image in (flipped, floats, view):
        first = image
        second = image.copy()
        draw_line(first, (20, 30), (160, 85), color=WHITE, width=4)
        with own_code():
            draw_line(second, (20, 30), (160, 85), color=WHITE, width=4)
        assert (first[30:80, 25:155].max(-1) > 240).any()
        assert np.abs(first.astype(float) - second).mean() < 0.5


def test_the_frames_of_the_synthetic_video_do_not_use_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    shapes._opencv.cache_clear()
    try:
        again = next(SyntheticVideo(seed=3, height=240, width=320))
        assert (again.image == FRAME.image).all()
        picture = np.zeros((50, 50, 3), np.uint8)
        draw_disc(picture, (25, 25), 9, color=WHITE)  # without OpenCV
        assert picture.max() == 255
    finally:
        shapes._opencv.cache_clear()
