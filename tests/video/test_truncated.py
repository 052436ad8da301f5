"""Files that end before their end: cut downloads, copies of full disks."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("av")

from live_servers import encoded, encoded_file

from pvnet import video


@pytest.mark.parametrize("form", ["mp4", "fmp4", "mov", "matroska", "webm", "avi", "mpegts"])
def test_a_file_that_ends_early_is_said_to_be_damaged(form, tmp_path):
    path = tmp_path / f"video.{form}"
    if form in ("mp4", "mov", "avi", "matroska", "webm"):
        encoded_file(path, form, 200)
    else:
        fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        options = fragments if form == "fmp4" else {}
        path.write_bytes(encoded(form.removeprefix("f"), 200, **options))
    data = path.read_bytes()
    with video.open(path) as source:
        assert len(list(source)) == 200
        assert source.stats.truncated is None
    for share in (0.5, 0.8, 0.97):
        path.write_bytes(data[: int(len(data) * share) | 1])
        with video.open(path) as source:
            frames = list(source)
        assert 0 < len(frames) <= 200
        assert source.stats.truncated, f"{share} of the file looked whole"


def test_files_of_unknown_length_are_not_said_to_be_damaged(tmp_path):
    from pvnet.video.complete import missing_end

    live = tmp_path / "live.mkv"
    live.write_bytes(encoded("matroska", 20, live="1"))
    assert missing_end(str(live)) is None
    other = tmp_path / "other"
    for data in (b"", b"x", b"\0" * 1000, b"RIFF" + struct.pack("<I", 0) + b"AVI " + b"\0" * 40):
        other.write_bytes(data)
        assert missing_end(str(other)) is None
    other.write_bytes(struct.pack(">I4s", 0, b"mdat") + b"\0" * 100)  # to the end of the file
    assert missing_end(str(other)) is None
    other.write_bytes(struct.pack(">I4sQ", 1, b"mdat", 1 << 40) + b"\0" * 100)
    assert str(1 << 40) in missing_end(str(other))
