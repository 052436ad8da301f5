from __future__ import annotations

import functools
import sys
from pathlib import Path

import av
import numpy as np
import pytest

import pvnet
from pvnet import video
from pvnet.data.files.decode import decode_all
from pvnet.errors import InvalidArgumentError

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import refused, write_pictures

N, GOP = 50, 20
# With AVX-512 x264 makes another stream at every run, and in some of them noise decodes without an
# error. With AVX2 it does not.
ISAS = {b["isa"] for b in pvnet.info()["backends"] if b["available"]}
STEADY = "asm=avx2" if "avx512" in ISAS else ""
# One slice a picture and key frames where they are expected.
PLAIN = {"bf": "0", "sc_threshold": "0", "x264-params": STEADY}
REORDERED = {"bf": "3", "b-adapt": "0", "sc_threshold": "0", "x264-params": STEADY}
CODECS = {
    "h264": ("libx264", "a.mp4", PLAIN),
    "h264 with B-frames": ("libx264", "a.mp4", REORDERED),
    "h264 with open groups": (
        "libx264",
        "a.mkv",
        {**REORDERED, "x264-params": f"open-gop=1:scenecut=0:{STEADY}"},
    ),
    "mpeg4": ("mpeg4", "a.avi", {}),
    "mpeg4 with B-frames": ("mpeg4", "a.mp4", {"bf": "2", "sc_threshold": "1000000000"}),
    "mpeg2": ("mpeg2video", "a.mkv", {"bf": "2", "sc_threshold": "1000000000"}),
}


@functools.cache
def moving(n: int = N, h: int = 240, w: int = 320) -> tuple[np.ndarray, ...]:
    """Waves and a disc that move, so that every picture needs the one before.

    Not too small: noise that makes a whole picture without an error is beyond any decoder.
    """
    y, x = np.mgrid[:h, :w]
    out = []
    for k in range(n):
        waves = ((x + 3 * k) / 9.0, (y - 2 * k) / 7.0, (x + y + 5 * k) / 13.0)
        image = np.stack([127 + 100 * np.sin(a) for a in waves], -1)
        image[(x - 7 * k % w) ** 2 + (y - 5 * k % h) ** 2 < 200] = 255
        out.append(image.astype(np.uint8))
    return tuple(out)


def write(folder: Path, kind: str) -> Path:
    codec, name, options = CODECS[kind]
    write_pictures(folder / name, moving(), codec, options=options, gop=GOP)
    return folder / name


def packets(path: Path) -> list[tuple[int, int, bool]]:
    """(place in the file, size, whether it is a key frame) of every packet."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]


def damage(path: Path, number: int, seed: int) -> None:
    """Noise over the second half of a packet."""
    data = bytearray(path.read_bytes())
    at, size, _ = packets(path)[number]
    noise = np.random.default_rng(seed).integers(0, 256, size - size // 2, np.uint8)
    data[at + size // 2 : at + size] = noise.tobytes()
    path.write_bytes(bytes(data))


def without(path: Path, target: Path, lost: set[int]) -> None:
    """A copy without some packets."""
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for k, packet in enumerate(p for p in source.demux(stream) if p.size):
            if k not in lost:
                packet.stream = copy
                out.mux(packet)


def read(path: Path, **options) -> tuple[dict[int, video.Frame], video.SourceStats]:
    """Frames by their number in the whole video."""
    with video.open(path, size=(96, 128), **options) as source:
        frames = list(source)
    return {round(25 * f.time_s) - round(25 * frames[0].time_s): f for f in frames}, source.stats


def wrong(frames: dict[int, video.Frame], clean: dict[int, video.Frame]) -> set[int]:
    """Numbers of the frames that look otherwise."""
    difference = {
        k: np.abs(f.image.astype(int) - clean[k].image.astype(int)).mean()
        for k, f in frames.items()
        if k in clean
    }
    return {k for k, d in difference.items() if d > 2}


def marked(frames: dict[int, video.Frame]) -> set[int]:
    return {k for k, f in frames.items() if f.damaged}


@pytest.mark.parametrize("kind", CODECS)
def test_frames_after_a_damaged_one_are_marked_up_to_the_next_key_frame(tmp_path, kind):
    path = write(tmp_path, kind)
    whole = path.read_bytes()
    clean, stats = read(path)
    assert len(clean) == N
    assert (marked(clean), stats.damaged) == (set(), 0)
    bad = seen = 0
    for seed in range(6):
        path.write_bytes(whole)
        damage(path, GOP + 2 + seed, seed)
        frames, stats = read(path)
        visible, told = wrong(frames, clean), marked(frames)
        bad, seen = bad + len(visible), seen + len(visible & told)
        assert stats.damaged == len(told)
        assert told <= set(range(GOP - 3, 2 * GOP + 3)), "before it, or after the next key frame"
    assert bad > 20
    assert seen == bad


@pytest.mark.parametrize("codec", ["libx265", "libvpx", "libvpx-vp9", "mjpeg", "ffv1"])
def test_frames_of_a_whole_file_are_not_marked(tmp_path, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"no encoder {codec}")
    options = {"libx265": {"x265-params": "log-level=none"}}.get(codec, {})
    write_pictures(tmp_path / "a.mkv", moving(30, 96, 128), codec, options=options)
    frames, stats = read(tmp_path / "a.mkv")
    assert len(frames) == 30
    assert (marked(frames), stats.damaged, stats.problems) == (set(), 0, [])


@pytest.mark.parametrize("kind", [k for k in CODECS if k.startswith("h264")])
@pytest.mark.parametrize("lost", [{25}, {26, 27}, {31}])
def test_frames_after_a_lost_one_are_marked_up_to_the_next_key_frame(tmp_path, kind, lost):
    path = write(tmp_path, kind)
    clean, _ = read(path)
    without(path, tmp_path / "lost.mkv", lost)
    frames, stats = read(tmp_path / "lost.mkv")
    assert wrong(frames, clean) <= marked(frames)
    assert marked(frames) <= set(range(GOP, 2 * GOP + 3))
    assert stats.damaged == len(marked(frames))


def test_a_refresh_without_key_frames_ends_the_damage(tmp_path):
    options = {**PLAIN, "x264-params": "intra-refresh=1:scenecut=0"}
    write_pictures(tmp_path / "a.mkv", moving(90, 96, 128), options=options, gop=15)
    clean, _ = read(tmp_path / "a.mkv")
    without(tmp_path / "a.mkv", tmp_path / "lost.mkv", {25})
    frames, _ = read(tmp_path / "lost.mkv")
    assert wrong(frames, clean) <= marked(frames)
    assert set(range(26, 34)) <= marked(frames)
    assert max(marked(frames)) <= 25 + 2 * 16


def test_a_frame_shown_before_the_damaged_one_that_it_needs_is_marked(tmp_path):
    path = write(tmp_path, "mpeg2")
    clean, _ = read(path)
    with av.open(str(path)) as container:
        shown = [round(25 * p.pts * p.time_base) for p in container.demux(video=0) if p.size]
    number = next(k for k in range(GOP + 4, N) if shown[k] > shown[k + 1])  # B-frames follow
    damage(path, number, 3)
    frames, _ = read(path)
    before = set(range(shown[number] - 2, shown[number]))
    assert before & wrong(frames, clean)
    assert before | {shown[number]} <= marked(frames)
    assert shown[number] - 3 not in marked(frames)


def test_damaged_frames_can_be_dropped(tmp_path):
    path = write(tmp_path, "h264")
    clean, _ = read(path)
    damage(path, GOP + 5, 0)
    delivered, counts = read(path)
    kept, stats = read(path, damaged="drop")
    assert set(kept) == set(delivered) - marked(delivered)
    assert not wrong(kept, clean)
    assert stats.damaged == counts.damaged == len(marked(delivered)) >= 10
    assert [f.index for f in kept.values()] == list(range(len(kept)))
    with pytest.warns(FutureWarning, match="'skip' is called 'drop' now"):
        assert set(read(path, damaged="skip")[0]) == set(kept)
    filled, _ = read(path, damaged="drop", fps=25)
    assert len(filled) == N
    assert not marked(filled)


def test_one_bad_picture_of_an_intra_codec_does_not_spoil_the_next(tmp_path):
    write_pictures(tmp_path / "a.avi", moving(20), "mjpeg")
    data = bytearray((tmp_path / "a.avi").read_bytes())
    at, size, _ = packets(tmp_path / "a.avi")[7]
    data[at + 8 : at + size] = bytes(size - 8)
    (tmp_path / "a.avi").write_bytes(bytes(data))
    frames, stats = read(tmp_path / "a.avi")
    assert marked(frames) == set()
    assert len(frames) + stats.corrupt == 20
    assert stats.corrupt == 1


def test_what_follows_lost_packets_of_a_transport_stream_is_marked(tmp_path):
    path = tmp_path / "a.ts"
    write_pictures(path, moving(), "mpeg2video", options={"bf": "0"}, gop=GOP)
    clean, _ = read(path)
    data = path.read_bytes()
    at = packets(path)[GOP + 4][0] // 188 * 188
    path.write_bytes(data[: at + 188] + data[at + 5 * 188 :])
    frames, stats = read(path)
    assert wrong(frames, clean)
    assert wrong(frames, clean) <= marked(frames) <= set(range(GOP, 2 * GOP + 1))
    assert stats.damaged == len(marked(frames))


def test_a_file_that_begins_between_key_frames_begins_with_damage(tmp_path):
    path = write(tmp_path, "mpeg4")
    without(path, tmp_path / "late.mkv", set(range(7)))
    frames, _ = read(tmp_path / "late.mkv")
    numbers = sorted(frames)
    assert marked(frames) == {k for k in numbers if k < GOP - 7}
    assert len(marked(frames)) >= 10


def test_training_data_has_no_damaged_frames(tmp_path):
    path = write(tmp_path, "h264")
    clean = decode_all(path, size=(96, 128))
    damage(path, GOP + 5, 0)
    got = decode_all(path, size=(96, 128))
    assert got.damaged >= 10
    for image, time_s in zip(got.frames, got.times_s):
        other = clean.frames[round(25 * time_s)]
        assert np.abs(image.astype(int) - other.astype(int)).mean() < 2


def test_what_to_do_with_damage_is_one_of_two():
    refused(InvalidArgumentError, video.open, "synthetic", damaged="mend")
