from __future__ import annotations

import struct
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pvnet import video
from pvnet.data.files.cache import Request, open_cache
from pvnet.data.files.decode import decode_at, probe

sys.path.insert(0, str(Path(__file__).parent))
from orientations import MATRIX, SHOWN, read_quarters, set_matrix
from orientations import quarters as quarters_of
from pictures import save_png
from video_helpers import write_pictures


def round_at(h: int, w: int, ratio: float) -> np.ndarray:
    """What a camera with samples `ratio` as wide as high makes of a disc."""
    y, x = np.mgrid[:h, :w]
    across, down, radius = (x + 0.5 - w / 2) * ratio, y + 0.5 - h / 2, min(h, w * ratio) / 3
    inside = across**2 + down**2 < radius**2
    return np.where(inside[..., None], 240, 20).astype(np.uint8).repeat(3, 2)


def extent(image: np.ndarray) -> float:
    """Width over height of what is white."""
    lit = image[..., 0] > 128
    return float(lit.any(0).sum() / lit.any(1).sum())


def disc_file(path: Path, ratio: Fraction, h: int = 144, w: int = 180, n: int = 3) -> Path:
    write_pictures(path, [round_at(h, w, float(ratio))] * n, sample_aspect_ratio=ratio)
    return path


@pytest.mark.parametrize(
    ("ratio", "width"),
    [(Fraction(64, 45), 256), (Fraction(16, 15), 192), (Fraction(1, 2), 90), (Fraction(2), 360)],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_round_thing_of_wide_or_narrow_samples_is_round(tmp_path, suffix, ratio, width):
    path = disc_file(tmp_path / f"a{suffix}", ratio)
    with video.open(path, keep_original=True) as source:
        info, frame = source.info, next(source)
    assert (info.height, info.width) == frame.image.shape[:2] == (144, width)
    assert extent(frame.image) == pytest.approx(1, abs=0.06)
    assert info.coded_size == (144, 180)
    assert info.sample_aspect_ratio == pytest.approx(float(ratio), rel=1e-3)
    assert frame.original.shape == frame.image.shape
    assert frame.mapping.source_size == (144, width)
    with video.open(path, size=(96, 96), fit="letterbox") as source:
        assert extent(next(source).image) == pytest.approx(1, abs=0.06)


def test_a_wide_pal_video_is_not_squeezed_by_the_letterbox(tmp_path):
    write_pictures(
        tmp_path / "a.mp4", [round_at(576, 720, 64 / 45)] * 2, sample_aspect_ratio=Fraction(64, 45)
    )
    with video.open(tmp_path / "a.mp4", size=(224, 224), fit="letterbox") as source:
        inner = next(source).mapping.inner_size
        assert source.info.width / source.info.height == pytest.approx(1.778, abs=0.001)
    assert inner[1] / inner[0] == pytest.approx(1.778, abs=0.01)


@pytest.mark.parametrize("number", SHOWN)
def test_wide_samples_of_a_turned_video(tmp_path, number):
    path = tmp_path / "a.mp4"
    write_pictures(path, [quarters_of(48, 64)] * 2, sample_aspect_ratio=Fraction(3, 2))
    set_matrix(path, MATRIX[number])
    shape = (96, 48) if number >= 5 else (48, 96)
    with video.open(path) as source:
        frame = next(source)
        assert (source.info.height, source.info.width) == frame.image.shape[:2] == shape
    assert read_quarters(frame.image) == SHOWN[number]
    assert probe(path).size == shape


@pytest.mark.parametrize(
    ("ratio", "told"),
    [(Fraction(1, 20), 1), (Fraction(20), 1), (Fraction(1, 1000), 0), (Fraction(1000, 1001), 0)],
)
def test_a_shape_of_samples_that_cannot_be_true_is_ignored(tmp_path, ratio, told):
    write_pictures(tmp_path / "a.mp4", [round_at(48, 64, 1)] * 2, sample_aspect_ratio=ratio)
    with video.open(tmp_path / "a.mp4") as source:
        frame = next(source)
        assert (source.info.height, source.info.width) == frame.image.shape[:2] == (48, 64)
    assert [p for p in source.stats.problems if "aspect" in p] == source.stats.problems
    assert len(source.stats.problems) == told


def test_the_shape_of_samples_changes_inside_a_stream(tmp_path):
    parts = [disc_file(tmp_path / f"{k}.ts", r) for k, r in enumerate((Fraction(2), Fraction(1)))]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    with video.open(whole, size=(96, 240), fit="letterbox") as source:
        frames = list(source)
    assert [f.mapping.source_size for f in frames] == [(144, 360)] * 3 + [(144, 180)] * 3
    assert [extent(f.image) for f in frames] == [pytest.approx(1, abs=0.07)] * 6
    assert source.stats.size_changes == 1


def test_the_size_of_pictures_with_wide_samples_changes_inside_a_stream(tmp_path):
    ratio = Fraction(64, 45)
    parts = [disc_file(tmp_path / f"{h}.ts", ratio, h, w) for h, w in ((144, 180), (96, 120))]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    with video.open(whole) as source:
        frames = list(source)
    assert {f.image.shape for f in frames} == {(144, 256, 3)}
    assert [f.mapping.source_size for f in frames] == [(144, 256)] * 3 + [(96, 170)] * 3
    assert [extent(f.image) for f in frames] == [pytest.approx(1, abs=0.07)] * 6


def test_training_data_of_wide_samples_has_square_pixels(tmp_path):
    path = disc_file(tmp_path / "a.mp4", Fraction(64, 45))
    assert probe(path).size == (144, 256)
    cache = open_cache(Request((path,), None), tmp_path / "cache")
    assert cache.frames(0).shape[1:3] == cache.source_size(0) == (144, 256)
    assert extent(cache.frames(0)[0]) == pytest.approx(1, abs=0.06)
    part = decode_at(path, np.array([0.04]), size=(144, 256))
    assert part.source_size == (144, 256)
    assert extent(part.frames[0]) == pytest.approx(1, abs=0.06)


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG with a chunk before its pixels, and none of that name before."""
    begin = png.find(name) - 4
    if begin >= 0:
        png = png[:begin] + png[begin + 12 + struct.unpack_from(">I", png, begin)[0] :]
    at = png.index(b"IDAT") - 4
    body = name + content
    whole = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    return png[:at] + whole + png[at:]


@pytest.mark.parametrize(
    ("across", "down", "unit"),
    [(1000, 2000, 1), (2, 1, 0)],  # pixels a metre: more of them are smaller; or a mere ratio
)
def test_an_image_of_unequal_resolution_has_square_pixels(tmp_path, across, down, unit):
    path = tmp_path / "a.png"
    save_png(path, round_at(96, 60, 2))
    chunk = struct.pack(">IIB", across, down, unit)
    path.write_bytes(with_chunk(path.read_bytes(), b"pHYs", chunk))
    with video.open(tmp_path) as source:
        image = next(source).image
        assert (source.info.height, source.info.width) == image.shape[:2] == (96, 120)
    assert extent(image) == pytest.approx(1, abs=0.06)
