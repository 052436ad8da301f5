from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from pvnet import video
from pvnet.errors import FileError, InvalidArgumentError, StateError
from pvnet.video import planes

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import grey_frames, refused


def test_written_is_read_back(tmp_path):
    images = grey_frames(10)
    with video.VideoWriter(tmp_path / "a.mp4", 29.97, size=(48, 64)) as out:
        for image in images:
            out.write(image)
        assert out.frames == 10
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(29.97, abs=1e-3)
    with video.open(tmp_path / "a.mp4") as source:
        back = [f.image for f in source]
    assert len(back) == 10
    assert np.abs(np.stack(back).astype(int) - np.stack(images)).mean() < 3


@pytest.mark.parametrize("opencv", [True, False])
def test_haste_keeps_pictures_and_colours(tmp_path, monkeypatch, opencv):
    if not opencv:
        monkeypatch.setattr(planes, "_opencv", lambda: None)
    elif planes._opencv() is None:
        pytest.skip("needs OpenCV")
    colours = [(200, 60, 40), (40, 180, 60), (50, 70, 210)]
    buffer = np.empty((48, 64, 3), np.uint8)
    with video.VideoWriter(tmp_path / "a.mp4", 25, size=(48, 64), fast=True) as out:
        for colour in colours:
            buffer[:] = colour  # one buffer again and again: what was written is no view of it
            out.write(buffer)
    with video.open(tmp_path / "a.mp4") as source:
        back = [frame.image for frame in source]
    assert len(back) == 3
    for image, colour in zip(back, colours):
        assert np.abs(image.reshape(-1, 3).mean(0) - colour).max() < 5


def test_odd_sizes_are_padded(tmp_path):
    with video.VideoWriter(tmp_path / "a.mp4", 10, size=(33, 47)) as out:
        out.write(np.full((33, 47, 3), 90, np.uint8))
    with video.open(tmp_path / "a.mp4") as source:
        assert next(source).image.shape == (34, 48, 3)


def test_fallback_without_x264(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with video.VideoWriter(tmp_path / "a.mp4", 10, size=(48, 64)) as out:
        assert out.codec == "mpeg4"
        for image in grey_frames(5):
            out.write(image)
    with video.open(tmp_path / "a.mp4") as source:
        assert len(list(source)) == 5


def test_bad_paths_sizes_and_frames_are_refused(tmp_path):
    refused(FileError, video.VideoWriter, tmp_path / "no" / "a.mp4", 10, size=(48, 64))
    refused(InvalidArgumentError, video.VideoWriter, tmp_path / "a.mp4", 0, size=(48, 64))
    refused(InvalidArgumentError, video.VideoWriter, tmp_path / "a.mp4", 10, size=(0, 64))
    out = video.VideoWriter(tmp_path / "a.mp4", 10, size=(48, 64))
    refused(InvalidArgumentError, out.write, np.zeros((48, 60, 3), np.uint8))
    refused(InvalidArgumentError, out.write, np.zeros((48, 64, 3), np.float32))
    out.write(np.zeros((48, 64, 3), np.uint8))
    out.close()
    out.close()
    refused(StateError, out.write, np.zeros((48, 64, 3), np.uint8))


def test_one_euro_steadies_and_follows():
    rng = np.random.default_rng(0)
    times = np.arange(200) / 25
    still = 50 + rng.normal(0, 1, (200, 13, 2))
    smooth = video.OneEuro()
    out = np.stack([smooth(p, t) for p, t in zip(still, times)])
    assert out[50:].std() < 0.6 * still[50:].std()
    smooth.reset()
    ramp = np.stack([smooth(np.full((13, 2), 200 * t), t) for t in times])
    assert np.abs(ramp[-1] - 200 * times[-1]).max() < 20
    gap = video.OneEuro()
    gap(np.array([1.0, 2.0]), 0.0)
    assert np.isnan(gap(np.array([np.nan, 2.0]), 0.1)[0])
    assert gap(np.array([7.0, 2.0]), 0.2)[0] == 7.0
    refused(InvalidArgumentError, gap, np.array([7.0, 2.0]), 0.2)
    refused(InvalidArgumentError, video.OneEuro, 0.0)
