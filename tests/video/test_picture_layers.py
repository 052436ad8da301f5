"""Layers over pictures: the core draws and mixes as plain numpy does."""

from __future__ import annotations

import numpy as np
import pytest
from video.video_helpers import refused

from pvnet import _core, viz
from pvnet.errors import InvalidArgumentError
from pvnet.video import raster
from pvnet.video.planes import Planes, frame_of
from pvnet.viz import font
from pvnet.viz.shapes import draw_capsules

av = pytest.importorskip("av")

RNG = np.random.default_rng(5)
ENDS = {
    "slanted": ((20.2, 30.0), (60.7, 45.5)),
    "steep": ((30.5, 9.1), (26.0, 52.3)),
    "level": ((10.0, 20.5), (70.25, 20.5)),
    "upright": ((40.5, 5.0), (40.5, 50.75)),
    "disc": ((33.3, 21.7), (33.3, 21.7)),
    "almost a disc": ((33.3, 21.7), (33.3, 21.70001)),
    "cut off": ((-40.0, -20.0), (200.0, 140.0)),
    "over a corner": ((78.0, -1.0), (82.0, 3.0)),
    "outside": ((300.0, 300.0), (400.0, 400.0)),
    "far away": ((1e30, 3.0), (1e30, 4.0)),
    "not finite": ((float("nan"), 0.0), (5.0, 5.0)),
}


@pytest.mark.parametrize("radius", [0.3, 0.5, 1.0, 3.7, 25.0])
@pytest.mark.parametrize("name", ENDS)
def test_a_capsule_is_that_of_the_raster(name, radius):
    ends, ink = ENDS[name], (200.4, 30.6, 90.2, 255.0)
    layer = RNG.integers(0, 256, (60, 80, 4), np.uint8)
    before, expected = layer.copy(), layer.copy()
    raster.draw_line(expected, *ends, color=ink, width=2 * radius)
    draw_capsules(layer, np.array([ends], np.float32), np.array([radius]), np.array([ink]))
    assert np.abs(layer.astype(int) - expected).max() <= 1
    drawn = name not in ("outside", "far away", "not finite")
    assert drawn == (layer != before).any()


def test_capsules_lie_one_over_the_other():
    layer = np.zeros((20, 20, 4), np.uint8)
    place = np.full((2, 2, 2), 10, np.float32)
    draw_capsules(layer, place, np.array([8, 4]), np.array([[9, 9, 9, 255], [70, 7, 7, 100]]))
    assert layer[10, 10].tolist() == [70, 7, 7, 100]
    assert layer[10, 16].tolist() == [9, 9, 9, 255]
    assert not layer[0].any()


def mixed(planes: tuple, layer: np.ndarray, x: int, y: int) -> list[np.ndarray]:
    """Planes with the layer in them, as the definition has it."""
    rows = np.add(layer[::2], layer[1::2], dtype=np.uint16)
    half = ((rows[:, ::2] + rows[:, 1::2] + 2) >> 2).astype(int)
    out = [plane.astype(int) for plane in planes]
    for plane, source, channel, scale in zip(out, (layer, half, half), (0, 1, 2), (1, 2, 2)):
        h, w = source.shape[:2]
        part = plane[y // scale :][:h, x // scale :][:, :w]
        keep = 255 - source[..., 3].astype(int)
        part[...] = np.minimum(np.rint(part * keep / 255).astype(int) + source[..., channel], 255)
    return out


@pytest.mark.parametrize(
    ("size", "at"), [((40, 66), (2, 4)), ((60, 200), (0, 0)), ((2, 2), (6, 8))]
)
@pytest.mark.parametrize("filled", [1.0, 0.02, 0.0])
def test_a_layer_is_mixed_by_its_opacity(size, at, filled):
    y, u, v = (RNG.integers(0, 256, s, np.uint8) for s in ((64, 224), (32, 112), (32, 112)))
    layer = RNG.integers(0, 256, (*size, 4), np.uint8)
    layer[RNG.random(size) >= filled] = 0
    expected = mixed((y, u, v), layer, *at)
    wide = np.zeros((64, 300), np.uint8)[:, :224]  # rows of a plane lie apart
    wide[...] = y
    _core.picture.mix_layer(layer, wide, u, v, *at)
    for got, want in zip((wide, u, v), expected):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("size", "at"),
    [((8, 8), (1, 0)), ((8, 8), (0, 3)), ((7, 8), (0, 0)), ((8, 8), (26, 0)), ((8, 8), (-2, 0))],
)
def test_a_layer_that_does_not_fit_changes_nothing(size, at):
    planes = [np.full(s, 7, np.uint8) for s in ((16, 32), (8, 16), (8, 16))]
    layer = np.full((*size, 4), 100, np.uint8)
    refused(InvalidArgumentError, _core.picture.mix_layer, layer, *planes, *at)
    assert all((plane == 7).all() for plane in planes)


@pytest.mark.parametrize("wrong", ["dtype", "channels", "order", "read-only", "radii", "gaps"])
def test_what_cannot_be_drawn_on_is_refused(wrong):
    layer = np.zeros((20, 20, 3 if wrong == "channels" else 4), np.uint8)
    ends, radii, inks = np.zeros((3, 2, 2)), np.ones(3), np.zeros((3, 4))
    ends, radii, inks = (a.astype(np.float32) for a in (ends, radii, inks))
    if wrong == "dtype":
        layer = layer.astype(np.float32)
    elif wrong == "order":
        layer = layer.transpose(1, 0, 2)
    elif wrong == "read-only":
        layer.flags.writeable = False
    elif wrong == "radii":
        radii = radii[:2]
    elif wrong == "gaps":
        inks = np.zeros((3, 8), np.float32)[:, ::2]
    refused(InvalidArgumentError, _core.picture.draw_capsules, layer, ends, radii, inks)


def test_a_text_has_ink_and_a_rim_around_it():
    for text in ("Tick 7, age", "g", "|_`~"):
        mask, wide = font._masks(text, 2)
        ink = font.text_mask(text) * 255
        rim = np.pad(ink, 1)
        ways = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        around = np.max([np.roll(rim, way, (0, 1)) for way in ways], axis=0)
        np.testing.assert_array_equal(mask, ink.repeat(2, 0).repeat(2, 1))
        np.testing.assert_array_equal(wide, around.repeat(2, 0).repeat(2, 1))


def test_a_band_shows_the_text_of_its_picture():
    grey = np.full((96, 128, 3), 90, np.uint8)

    def drawn(*texts: str) -> np.ndarray:
        for text in texts:
            planes = Planes(frame_of(av, grey, fast=False))
            viz.draw_label(planes, text)
            viz.draw_status(planes, text[::-1])
        return planes.rgb()

    first = drawn("a caption")
    assert (first != drawn("another")).any()
    np.testing.assert_array_equal(drawn("other", "a caption", "", "a caption"), first)
