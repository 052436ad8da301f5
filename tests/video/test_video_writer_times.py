"""Which container is written, when each frame is shown, and the audio beside them."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pvnet import video
from pvnet.errors import InvalidArgumentError, UnsupportedError

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import grey_frames, refused

# Seconds: a variable rate, a pause, two frames close to each other.
TIMES = (0.0, 0.04, 0.13, 0.5, 0.52, 1.99)
END = 2.5


def picture(i: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), 20 + 10 * i, np.uint8)


def stamps(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def length(path: Path) -> float:
    with av.open(str(path)) as container:
        return container.duration / 1e6


def audio_packets(path: Path) -> list[list[tuple[float, bytes]]]:
    out = []
    with av.open(str(path)) as container:
        for k, _ in enumerate(container.streams.audio):
            with av.open(str(path)) as again:
                packets = again.demux(again.streams.audio[k])
                out.append(
                    [(float(p.pts * p.time_base), bytes(p)) for p in packets if p.pts is not None]
                )
    return out


def sounding_video(path: Path, codec: str = "aac", seconds: float = 2.0) -> Path:
    """25 frames a second with a tone."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=48000)
        sound.layout = "mono"
        for i in range(round(25 * seconds)):
            frame = av.VideoFrame.from_ndarray(picture(i % 20), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(pictures.encode(frame))
            t = np.arange(i * 1920, (i + 1) * 1920) / 48000
            tone = (8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)[None]
            part = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            part.sample_rate, part.pts, part.time_base = 48000, i * 1920, Fraction(1, 48000)
            container.mux(sound.encode(part))
        container.mux(pictures.encode())
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize(
    ("suffix", "container", "codec"),
    [
        (".mp4", "mp4", "h264"),
        (".M4V", "mp4", "h264"),
        (".mov", "mov", "h264"),
        (".mkv", "matroska", "h264"),
        (".webm", "webm", "vp9"),
        (".avi", "avi", "mpeg4"),
        (".gif", "gif", "gif"),
    ],
)
def test_the_name_says_what_is_written(tmp_path, suffix, container, codec):
    path = tmp_path / f"a{suffix}"
    with video.VideoWriter(path, 25, size=(33, 47)) as out:
        for i in range(6):
            out.write(picture(i, (33, 47)))
    with av.open(str(path)) as back:
        assert container in back.format.name.split(",")
        stream = back.streams.video[0]
        assert stream.codec_context.name == codec
        frames = [frame.to_ndarray(format="rgb24") for frame in back.decode(stream)]
    assert len(frames) == 6
    assert np.abs(frames[3][:33, :47].astype(int) - 50).mean() < 6
    head = path.read_bytes()[:12]
    signs = {"matroska": b"\x1a\x45", "webm": b"\x1a\x45", "avi": b"RIFF", "gif": b"GIF8"}
    assert head.startswith(signs[container]) if container in signs else head[4:8] == b"ftyp"


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.png", "a.onnx", "a.mp4.bak", "a.mp3"])
def test_an_end_that_is_not_written_is_refused_with_the_list(tmp_path, name):
    text = refused(InvalidArgumentError, video.VideoWriter, tmp_path / name, 10, size=(48, 64))
    assert all(end in text for end in (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".gif"])
def test_frames_are_shown_at_their_times(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    out = video.VideoWriter(path, 25, size=(48, 64))
    for i, time_s in enumerate(TIMES):
        out.write(picture(i), time_s)
    out.close(END)
    assert stamps(path) == pytest.approx(TIMES, abs=1e-3)
    assert length(path) == pytest.approx(END, abs=2e-3)
    with video.open(path) as source:  # and so they are read
        assert [frame.time_s for frame in source] == pytest.approx(TIMES, abs=1e-3)


def test_avi_puts_frames_on_its_grid(tmp_path):
    out = video.VideoWriter(tmp_path / "a.avi", 25, size=(48, 64))
    for i, time_s in enumerate(TIMES):
        out.write(picture(i), time_s)
    out.close(END)
    assert stamps(tmp_path / "a.avi") == pytest.approx(TIMES, abs=0.021)


def test_mp4_of_mpeg4_keeps_times_too(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    out = video.VideoWriter(tmp_path / "a.mp4", 25, size=(48, 64))
    assert out.codec == "mpeg4"
    for i, time_s in enumerate(TIMES):
        out.write(picture(i), time_s)
    out.close(END)
    assert stamps(tmp_path / "a.mp4") == pytest.approx(TIMES, abs=1e-4)
    assert length(tmp_path / "a.mp4") == pytest.approx(END, abs=1e-4)


def test_two_thousand_frames_a_second_are_written(tmp_path):
    with video.VideoWriter(tmp_path / "a.mp4", 2000, size=(48, 64)) as out:
        for i in range(40):
            out.write(picture(i % 20))
    assert stamps(tmp_path / "a.mp4") == pytest.approx([i / 2000 for i in range(40)], abs=2e-5)
    assert length(tmp_path / "a.mp4") == pytest.approx(0.02, abs=1e-4)
    for name in ("a.mkv", "a.webm", "a.gif"):  # these cannot tell such frames apart
        refused(InvalidArgumentError, video.VideoWriter, tmp_path / name, 2000, size=(48, 64))


@pytest.mark.parametrize("fps", [0.0001, 0.4, 23.976, 59.94, 240.0])
def test_odd_rates_do_not_drift(tmp_path, fps):
    with video.VideoWriter(tmp_path / "a.mp4", fps, size=(8, 8)) as out:
        for i in range(100):
            out.write(picture(i % 20, (8, 8)))
    found = stamps(tmp_path / "a.mp4")
    assert found == pytest.approx([i / fps for i in range(100)], rel=1e-9, abs=1 / 180000 + 1e-9)


def test_times_that_do_not_increase_are_shown_one_after_the_other(tmp_path):
    out = video.VideoWriter(tmp_path / "a.mp4", 25, size=(48, 64), begin_s=100.0)
    for i, time_s in enumerate((99.0, 100.5, 100.5, 100.2, 101.0)):
        out.write(picture(i), time_s)
    out.close(100.1)
    found = stamps(tmp_path / "a.mp4")
    assert found == pytest.approx([0.0, 0.5, 0.5, 0.5, 1.0], abs=1e-3)
    assert found == sorted(set(found))
    refused(InvalidArgumentError, video.VideoWriter, tmp_path / "b.mp4", float("nan"), size=(4, 4))
    with video.VideoWriter(tmp_path / "b.mp4", 25, size=(48, 64)) as other:
        refused(InvalidArgumentError, other.write, picture(0), float("inf"))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (35, 2)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi", ".gif"])
def test_tiny_pictures_are_written(tmp_path, size, suffix):
    with video.VideoWriter(tmp_path / f"a{suffix}", 25, size=size) as out:
        out.write(picture(3, size))
        out.write(picture(4, size))
    with av.open(str(tmp_path / f"a{suffix}")) as back:
        assert suffix[1:] in back.format.name.split(",")
    assert len(stamps(tmp_path / f"a{suffix}")) == 2


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi", ".gif"])
def test_pictures_too_large_for_the_codec_are_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    text = refused(UnsupportedError, video.VideoWriter, path, 25, size=(70000, 70000))
    assert "70000x70000" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
def test_the_audio_is_kept(tmp_path, suffix):
    source = sounding_video(tmp_path / "in.mp4")
    path = tmp_path / f"out{suffix}"
    with video.VideoWriter(path, 25, size=(48, 64), audio_from=source) as out:
        for i in range(50):
            out.write(picture(i % 20), i / 25)
    assert out.audio_copied == ["aac"]
    assert out.audio_left_out == []
    (before,), (after,) = audio_packets(source), audio_packets(path)
    # What is only decoded to get started lies before the beginning, where some have no room.
    heard = [p for p in before if p[0] >= 0] if suffix in (".mkv", ".avi") else before
    assert [data for _, data in after] == [data for _, data in heard]
    assert [t for t, _ in after] == pytest.approx([t for t, _ in heard], abs=0.012)
    assert stamps(path) == pytest.approx(stamps(source), abs=1e-3)


def test_audio_that_the_container_does_not_hold_is_named(tmp_path):
    source = sounding_video(tmp_path / "in.mp4")
    with video.VideoWriter(tmp_path / "o.webm", 25, size=(48, 64), audio_from=source) as out:
        out.write(picture(1))
    assert out.audio_copied == []
    assert "aac" in out.audio_left_out[0]
    assert "webm" in out.audio_left_out[0]
    opus = sounding_video(tmp_path / "in.mkv", "libopus")
    with video.VideoWriter(tmp_path / "p.webm", 25, size=(48, 64), audio_from=opus) as out:
        for i in range(50):
            out.write(picture(i % 20))
    assert (len(out.audio_copied), out.audio_left_out) == (1, [])
    assert len(audio_packets(tmp_path / "p.webm")) == 1


def test_audio_stops_with_the_pictures_of_a_run_that_was_cut(tmp_path):
    source = sounding_video(tmp_path / "in.mp4")
    out = video.VideoWriter(tmp_path / "o.mp4", 25, size=(48, 64), audio_from=source)
    for image in grey_frames(10):
        out.write(image)
    out.close(whole_audio=False)
    (packets,) = audio_packets(tmp_path / "o.mp4")
    assert 0.3 < packets[-1][0] < 0.4


def test_a_file_without_audio_has_nothing_to_copy(tmp_path):
    with video.VideoWriter(tmp_path / "in.mp4", 25, size=(48, 64)) as out:
        out.write(picture(1))
    with video.VideoWriter(
        tmp_path / "o.mp4", 25, size=(48, 64), audio_from=tmp_path / "in.mp4"
    ) as out:
        out.write(picture(1))
    assert (out.audio_copied, out.audio_left_out) == ([], [])
