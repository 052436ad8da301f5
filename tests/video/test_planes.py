"""Pictures as planes of luma and chroma: read, drawn on, written, without a way over RGB."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import numpy as np
import pytest
from video.video_helpers import grey_frames, refused, write_pictures

from pvnet import video, viz
from pvnet.errors import InvalidArgumentError
from pvnet.video import VideoWriter
from pvnet.video.planes import BT709, Planes, frame_of
from pvnet.video.synthetic import SyntheticVideo
from pvnet.viz.shapes import own_code

av = pytest.importorskip("av")

FRAME = next(SyntheticVideo(seed=3, height=240, width=320))
HEAT = np.random.default_rng(0).uniform(0, 1, (13, 8, 6)).astype(np.float32) ** 2
DRAWN = {
    "pose": lambda i: viz.draw_pose(i, FRAME.joints, np.linspace(0.1, 1, 13)),
    "pose over an edge": lambda i: viz.draw_pose(i, FRAME.joints - [90, 60]),
    "label": lambda i: viz.draw_label(i, "a caption"),
    "status": lambda i: viz.draw_status(i, "tick 7  12.3 ms"),
    "odd status": lambda i: viz.draw_status(i, "tick 7", scale=3),
    "actions": lambda i: viz.draw_actions(i, ["wave", "jump_up"], [0.7, 0.2]),
    "heatmaps": lambda i: viz.draw_heatmaps(i, HEAT),
}
WAYS = {"opencv": contextlib.nullcontext, "own code": own_code}


def planes_of(image: np.ndarray, colorspace: int = 2) -> Planes:
    frame = frame_of(av, image, fast=False, colorspace=colorspace)
    frame.colorspace = colorspace
    planes = Planes.of(frame)
    assert planes is not None
    return planes


def first(path, **options) -> video.Frame:
    with video.open(path, **options) as source:
        return next(source)


def test_a_source_keeps_planes_that_are_the_original(tmp_path):
    path = tmp_path / "a.mp4"
    write_pictures(path, [FRAME.image] * 3)
    kept = first(path, size=(48, 64), keep_original="planes")
    plain = first(path, size=(48, 64), keep_original=True)
    assert kept.original is None
    assert plain.planes is None
    assert kept.planes.shape == (240, 320)
    assert kept.planes.u.shape == kept.planes.v.shape == (120, 160)
    np.testing.assert_array_equal(kept.planes.rgb(), plain.original)
    np.testing.assert_array_equal(kept.image, plain.image)


@pytest.mark.parametrize("kind", ["full range", "narrow samples", "folder", "synthetic"])
def test_pictures_of_other_kinds_are_kept_as_before(kind, tmp_path):
    path = {"full range": tmp_path / "a.avi", "narrow samples": tmp_path / "a.mp4"}.get(kind)
    if kind == "full range":
        write_pictures(path, grey_frames(2), "mjpeg")
    elif kind == "narrow samples":
        write_pictures(path, grey_frames(2), sample_aspect_ratio=Fraction(1, 2))
    elif kind == "folder":
        pytest.importorskip("PIL.Image").fromarray(FRAME.image).save(tmp_path / "0.png")
        path = tmp_path
    frame = first(path or "synthetic:frames=2", size=(32, 32), keep_original="planes")
    assert frame.planes is None
    assert kind == "synthetic" or frame.original is not None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DRAWN)
def test_drawing_on_planes_looks_as_on_a_picture(name, way):
    if way == "opencv":
        pytest.importorskip("cv2")
    before = planes_of(FRAME.image)
    after, picture = before.copy(), before.rgb()
    with WAYS[way]():
        DRAWN[name](after)
        DRAWN[name](picture)
    change = np.abs(picture.astype(int) - before.rgb()).max(-1)
    assert change.max() > 40
    off = np.abs(after.rgb().astype(int) - picture).mean(-1)
    assert off.mean() < 3
    # Colour is known for four pixels together, and a skeleton hides what it covers.
    assert np.quantile(off[change > 20], 0.5) < 16
    far = change == 0
    far[:-2] &= far[2:]
    far[2:] &= far[:-2]
    far[:, :-2] &= far[:, 2:]
    far[:, 2:] &= far[:, :-2]
    assert np.array_equal(after.y[far], before.y[far])


def test_a_copy_has_its_own_memory_and_says_the_same_of_its_colours():
    planes = planes_of(FRAME.image, BT709)
    before = planes.y.copy()
    other = planes.copy()
    assert other.tags == planes.tags
    other.y[:], other.u[:], other.v[:] = 16, 128, 128
    np.testing.assert_array_equal(planes.y, before)
    assert other.rgb().max() == 0


@pytest.mark.parametrize("colorspace", [2, BT709])
@pytest.mark.parametrize("color", [(255, 148, 46), (64, 170, 255), (12, 15, 20), (255, 255, 255)])
def test_a_colour_of_planes_is_seen_as_it_was_meant(colorspace, color):
    planes = planes_of(np.zeros((16, 16, 3), np.uint8), colorspace)
    for plane, value in zip((planes.y, planes.u, planes.v), planes.color(color)):
        plane[:] = round(value)
    assert np.abs(planes.rgb().astype(int) - color).max() <= 3


@pytest.mark.parametrize("colorspace", [2, BT709])
def test_a_written_file_has_the_planes_and_their_colours(colorspace, tmp_path):
    path = tmp_path / "o.mp4"
    planes = [planes_of(f.image, colorspace) for f in SyntheticVideo(3, 96, 128, 5)]
    with VideoWriter(path, 25, size=(96, 128), fast=True, like=planes[0]) as writer:
        for picture in planes:
            writer.write(picture.copy())
        writer.write(planes[-1].rgb())  # a picture of another kind among them
    with av.open(str(path)) as written:
        frames = list(written.decode(video=0))
    assert [f.colorspace for f in frames] == [colorspace] * 6
    for frame, sent in zip(frames, [*planes, planes[-1]]):
        got = Planes(frame)
        assert np.abs(got.y.astype(int) - sent.y).mean() < 2
        assert np.abs(got.u.astype(int) - sent.u).mean() < 2


@pytest.mark.parametrize("name", ["o.gif", "o.mkv"])
def test_planes_go_into_files_of_every_kind(name, tmp_path):
    path = tmp_path / name
    images = [frame.image for frame in SyntheticVideo(3, 96, 128, 3)]
    with VideoWriter(path, 25, size=(96, 128)) as writer:
        for image in images:
            writer.write(planes_of(image))
    assert np.abs(first(path).image.astype(int) - images[0]).mean() < 8


def test_planes_of_another_size_are_refused(tmp_path):
    with VideoWriter(tmp_path / "o.mp4", 25, size=(48, 64)) as writer:
        message = refused(InvalidArgumentError, writer.write, planes_of(FRAME.image))
    assert "(240, 320)" in message
