"""The video that `pvnet run` writes: times, audio, formats, and its life."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import count_frames
from pvnet import video
from pvnet.cli._common.overlay import Overlay
from pvnet.errors import FileError
from pvnet.video.mapping import Mapping
from pvnet.video.reader import Picture

av = pytest.importorskip("av")


def write_video(path: Path, times: list[float], end_s: float) -> Path:
    """Frames at any times, without a writer of pvnet; frame i has the grey 10 + 6 i."""
    tick = Fraction(1, 60000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = tick
        ends = [*times[1:], end_s]
        for i, (begin, end) in enumerate(zip(times, ends)):
            image = np.full((48, 64, 3), 10 + 6 * (i % 40), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(begin / tick), tick
            for packet in stream.encode(frame):
                packet.duration = round((end - begin) / tick)
                container.mux(packet)
        container.mux(stream.encode())
    return path


def stamps(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def length(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def packets(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        return [(p.pts, bytes(p)) for p in container.demux(audio=0) if p.pts is not None]


def test_a_variable_rate_stays_as_it_was(pvnet_cli, model_file, tmp_path):
    times = [0.0, 0.04, 0.08, 0.31, 0.35, 0.99, 1.03]
    source = write_video(tmp_path / "in.mp4", times, 2.0)
    done = pvnet_cli(
        "run", source, "--model", model_file, "--out", tmp_path / "o.mp4", "--json"
    )  # fmt: skip
    assert done.code == 0, done.err
    assert stamps(tmp_path / "o.mp4") == pytest.approx(times, abs=1e-3)
    assert length(tmp_path / "o.mp4") == pytest.approx(2.0, abs=2e-3)


def test_dropped_frames_do_not_make_the_video_shorter(pvnet_cli, model_file, tmp_path, monkeypatch):
    source = write_video(tmp_path / "in.mp4", [i / 25 for i in range(40)], 1.6)
    draw, seen = Overlay.draw, []

    def slow(self, frame, tick):
        time.sleep(0.12)
        seen.append(frame.time_s)
        return draw(self, frame, tick)

    monkeypatch.setattr(Overlay, "draw", slow)
    out = tmp_path / "o.mp4"
    words = ("--policy", "latest", "--realtime", "--out", out, "--json")
    done = pvnet_cli("run", source, "--model", model_file, *words)
    assert done.code == 0, done.err
    assert done.document["dropped_frames"] > 5
    assert done.document["out_frames"] == len(seen)
    assert stamps(out) == pytest.approx(seen, abs=1e-3)
    assert length(out) == pytest.approx(1.6, abs=2e-3)


def test_two_thousand_frames_a_second_run(pvnet_cli, model_file, tmp_path):
    source = write_video(tmp_path / "in.mp4", [i / 2000 for i in range(20)], 0.01)
    out = tmp_path / "o.mp4"
    done = pvnet_cli("run", source, "--model", model_file, "--out", out, "--json")
    assert done.code == 0, done.err
    assert stamps(out) == pytest.approx([i / 2000 for i in range(20)], abs=4e-5)
    done = pvnet_cli("run", source, "--model", model_file, "--out", tmp_path / "o.gif", "--json")
    assert done.code == 1
    assert "2000 frames per second" in done.document["error"]["message"]


def with_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=48000)
        sound.layout = "mono"
        for i in range(25):
            image = np.full((48, 64, 3), 9 * i, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            tone = (8000 * np.sin(np.arange(1920) / 17)).astype(np.int16)[None]
            part = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            part.sample_rate, part.pts, part.time_base = 48000, i * 1920, Fraction(1, 48000)
            container.mux(sound.encode(part))
        container.mux(pictures.encode())
        container.mux(sound.encode())
    return path


def test_the_sound_of_the_video_is_kept(pvnet_cli, model_file, tmp_path):
    source, out = with_sound(tmp_path / "in.mp4"), tmp_path / "o.mp4"
    done = pvnet_cli("run", source, "--model", model_file, "--out", out, "--json")
    assert done.code == 0, done.err
    assert done.document["audio_copied"] == ["aac"]
    assert packets(out) == packets(source)


def test_sound_that_is_left_out_is_said(pvnet_cli, model_file, tmp_path):
    source, out = with_sound(tmp_path / "in.mp4"), tmp_path / "o.webm"
    done = pvnet_cli("run", source, "--model", model_file, "--out", out, "--json")
    assert done.code == 0, done.err
    assert done.document["audio_copied"] == []
    (line,) = done.document["audio_left_out"]
    assert "aac" in line
    assert line in done.err


class Camera:
    """Frames of a clock that began long ago, with a gap."""

    info = video.SourceInfo(64, 48, 0.0, None, None, live=True)
    times = (93600.0, 93600.04, 93600.08, 93601.5, 93601.54)

    def pictures(self, stats):
        for time_s in self.times:
            image = np.full((48, 64, 3), 90, np.uint8)
            yield Picture(image, time_s, Mapping.fit((48, 64), (32, 32), "stretch"), image)

    def close(self) -> None: ...


def test_a_camera_is_written_at_its_own_times(pvnet_cli, model_file, tmp_path, monkeypatch):
    import pvnet.cli.run

    monkeypatch.setattr(
        pvnet.cli.run, "open_source", lambda *a, **k: video.Source(Camera(), "rtsp://camera")
    )
    monkeypatch.setattr(Overlay, "draw", lambda self, frame, tick: frame.original)
    from pvnet.runtime import Stream

    tick = Stream.tick
    monkeypatch.setattr(Stream, "tick", lambda s, image: tick(s, image[:32, :32].copy()))
    out = tmp_path / "o.mp4"
    done = pvnet_cli(
        "run", "rtsp://camera", "--model", model_file, "--policy", "block", "--out", out, "--json"
    )  # fmt: skip
    assert done.code == 0, done.err
    assert stamps(out) == pytest.approx([0, 0.04, 0.08, 1.5, 1.54], abs=1e-3)
    assert "audio left out" in done.err  # nobody looked whether it has any


@pytest.mark.parametrize("name", ["o.xyz", "o.onnx", "o.png", "o"])
def test_another_end_is_refused_before_anything_is_computed(
    pvnet_cli, model_file, video_file, tmp_path, monkeypatch, name
):
    import pvnet.cli.run

    monkeypatch.setattr(pvnet.cli.run, "choose", lambda *_: pytest.fail("it began"))
    done = pvnet_cli("run", video_file, "--model", model_file, "--out", tmp_path / name, "--json")
    assert done.code == 2
    assert ".webm" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["o.mkv", "o.webm", "o.avi", "o.gif", "o.MOV"])
def test_other_formats_are_what_they_say(pvnet_cli, model_file, video_file, tmp_path, name):
    done = pvnet_cli("run", video_file, "--model", model_file, "--out", tmp_path / name, "--json")
    assert done.code == 0, done.err
    with av.open(str(tmp_path / name)) as container:
        assert name[2:].lower().replace("mkv", "matroska") in container.format.name
    assert count_frames(tmp_path / name)[0] == 12


def test_a_run_that_fails_leaves_the_older_file(
    pvnet_cli, model_file, video_file, tmp_path, monkeypatch
):
    out = tmp_path / "o.mp4"
    out.write_bytes(b"an older one")
    missing = pvnet_cli("run", tmp_path / "none.mp4", "--model", model_file, "--out", out)
    assert missing.code == 1
    draw, drawn = Overlay.draw, []

    def fails(self, frame, tick):
        drawn.append(tick)
        if len(drawn) > 5:
            raise FileError("[test] the source: got nothing, expected more. Look.")
        return draw(self, frame, tick)

    monkeypatch.setattr(Overlay, "draw", fails)
    done = pvnet_cli("run", video_file, "--model", model_file, "--out", out)
    assert done.code == 1
    assert out.read_bytes() == b"an older one"
    assert str(tmp_path / "o.partial.mp4") in done.err
    assert count_frames(tmp_path / "o.partial.mp4")[0] == 5


def test_a_full_disk_is_said_by_name(pvnet_process, model_file, video_file, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    done = pvnet_process("run", video_file, "--model", model_file, "--out", "/dev/full", "--json")
    assert done.code == 1, (done.out, done.err)
    error = done.document["error"]
    assert error["type"] == "FileError"
    assert "/dev/full" in error["message"]
    assert "ENOSPC" in error["message"]
    assert "Traceback" not in done.err


def test_a_frame_of_usual_size_is_drawn_on_as_decoded(pvnet_cli, model_file, tmp_path, monkeypatch):
    import pvnet.cli._common.overlay as overlay
    from pvnet.video import VideoWriter
    from pvnet.video.synthetic import SyntheticVideo

    video_file, out = tmp_path / "v.mp4", tmp_path / "o.mp4"
    images = [frame.image for frame in SyntheticVideo(3, 256, 320, 6)]
    with VideoWriter(video_file, 25.0, size=(256, 320)) as writer:
        for image in images:
            writer.write(image)
    monkeypatch.setattr(overlay, "enlarged", lambda _: pytest.fail("it was converted"))
    done = pvnet_cli("run", video_file, "--model", model_file, "--out", out, "--json")
    assert done.code == 0, done.err
    frames, last = count_frames(out)
    assert (frames, last.shape) == (6, (256, 320, 3))
    assert last[:8].mean() < 0.6 * images[-1][:8].mean()  # under the caption
