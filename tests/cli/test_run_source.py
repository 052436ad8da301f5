"""What `pvnet run` says of a video: damage, jumps of its time stamps, samples not square."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import count_frames

pytest.importorskip("av")
sys.path.insert(0, str(Path(__file__).parents[1] / "video"))
from video_helpers import grey_frames, restamped, write_pictures


@pytest.fixture
def damaged_file(tmp_path: Path) -> Path:
    """40 frames that move, the key frames 0 and 20, without packet 25."""
    import av

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (60, 240, 3), np.uint8)
    images = [np.ascontiguousarray(noise[:, 3 * k : 3 * k + 80]) for k in range(40)]
    write_pictures(tmp_path / "whole.mkv", images, options={"bf": "0", "sc_threshold": "0"}, gop=20)
    with (
        av.open(str(tmp_path / "whole.mkv")) as source,
        av.open(str(tmp_path / "a.mkv"), "w") as out,
    ):
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for k, packet in enumerate(p for p in source.demux(stream) if p.size):
            if k != 25:
                packet.stream = copy
                out.mux(packet)
    return tmp_path / "a.mkv"


@pytest.mark.parametrize(
    ("how", "frames", "word"), [("deliver", 39, "marked"), ("drop", 25, "left out")]
)
def test_run_tells_of_damaged_frames_or_leaves_them_out(
    pvnet_cli, damaged_file, model_file, how, frames, word
):
    done = pvnet_cli("run", damaged_file, "--model", model_file, "--damaged", how, "--json")
    assert done.code == 0, done.err
    assert (done.document["frames"], done.document["damaged_frames"]) == (frames, 14)
    assert done.document["corrupt_frames"] == 1
    done = pvnet_cli("run", damaged_file, "--model", model_file, "--damaged", how)
    assert f"14 frames {word}" in done.words


def test_run_tells_of_jumps_of_the_time_stamps(pvnet_cli, tmp_path, model_file):
    write_pictures(tmp_path / "clean.mkv", grey_frames(12), options={"bf": "0"})
    restamped(tmp_path / "clean.mkv", tmp_path / "a.mkv", lambda k, t: t + 90 * (k > 5))
    done = pvnet_cli("run", tmp_path / "a.mkv", "--model", model_file, "--json")
    assert done.code == 0, done.err
    d = done.document
    assert (d["frames"], d["time_jumps"], d["time_repairs"]) == (12, 1, 0)


def test_run_writes_wide_samples_in_their_shape(pvnet_cli, tmp_path, model_file):
    write_pictures(
        tmp_path / "a.mp4", grey_frames(4, 144, 180), sample_aspect_ratio=Fraction(64, 45)
    )
    out = tmp_path / "out.mp4"
    done = pvnet_cli("run", tmp_path / "a.mp4", "--model", model_file, "--out", out, "--json")
    assert done.code == 0, done.err
    height, width = count_frames(out)[1].shape[:2]
    assert width / height == pytest.approx(16 / 9, rel=0.02)
