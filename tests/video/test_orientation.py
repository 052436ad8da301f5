from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pvnet import video
from pvnet.data.files.decode import decode_all, decode_at, probe

sys.path.insert(0, str(Path(__file__).parent))
from orientations import MATRIX, SHOWN, quarters, read_quarters, save_turned, set_matrix


def turned_file(path: Path, matrix: tuple[float, float, float, float], n: int = 4) -> Path:
    with video.VideoWriter(path, 10, size=(48, 64)) as out:
        for _ in range(n):
            out.write(quarters())
    set_matrix(path, matrix)
    return path


def shape_of(number: int) -> tuple[int, int]:
    return (64, 48) if number >= 5 else (48, 64)


@pytest.mark.parametrize("number", SHOWN)
def test_a_mirrored_or_turned_video_is_shown_as_it_was_filmed(tmp_path, number):
    path = turned_file(tmp_path / "a.mp4", MATRIX[number])
    with video.open(path, keep_original=True) as source:
        frame = next(source)
    assert read_quarters(frame.image) == SHOWN[number]
    assert read_quarters(frame.original) == SHOWN[number]
    assert frame.image.shape[:2] == shape_of(number)
    assert frame.image.flags.c_contiguous
    assert source.stats.problems == []
    with video.open(path, size=(80, 80), fit="letterbox") as source:
        boxed = next(source)
    (y, x), (h, w) = boxed.mapping.offset, boxed.mapping.inner_size
    assert (h, w) == ((80, 60) if number >= 5 else (60, 80))
    assert read_quarters(boxed.image[y : y + h, x : x + w]) == SHOWN[number]


@pytest.mark.parametrize("number", SHOWN)
def test_the_size_of_a_turned_video_is_known_before_its_frames(tmp_path, number):
    with video.open(turned_file(tmp_path / "a.mp4", MATRIX[number])) as source:
        info = source.info
        frames = list(source)
    assert (info.height, info.width) == shape_of(number) == frames[0].image.shape[:2]
    assert len(frames) == 4
    assert info.coded_size == (48, 64)
    assert info.orientation == number


@pytest.mark.parametrize("number", SHOWN)
def test_training_data_of_a_mirrored_video_is_mirrored(tmp_path, number):
    path = turned_file(tmp_path / "a.mp4", MATRIX[number])
    assert probe(path).size == shape_of(number)
    whole = decode_all(path)
    part = decode_at(path, np.array([0.1, 0.2]), size=shape_of(number))
    assert [read_quarters(f) for f in whole.frames] == [SHOWN[number]] * 4
    assert [read_quarters(f) for f in part.frames] == [SHOWN[number]] * 2
    assert whole.source_size == part.source_size == shape_of(number)


@pytest.mark.parametrize("number", SHOWN)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_photo_taken_in_a_mirror_or_sideways_is_upright(tmp_path, suffix, number):
    path = tmp_path / f"a{suffix}"
    save_turned(path, number, quarters())
    for name in (tmp_path, path):
        with video.open(name) as source:
            info, frame = source.info, next(source)
        assert read_quarters(frame.image) == SHOWN[number]
        assert (info.height, info.width) == frame.image.shape[:2] == shape_of(number)
        assert info.orientation == number


def test_images_of_one_folder_may_be_turned_each_in_its_way(tmp_path):
    for number in SHOWN:
        save_turned(tmp_path / f"{number}.jpg", number, quarters(48, 48))
    with video.open(tmp_path) as source:
        assert [read_quarters(f.image) for f in source] == list(SHOWN.values())


@pytest.mark.parametrize(
    ("matrix", "number", "told"),
    [
        ((0.26, 0.97, -0.97, 0.26), 6, "between right angles"),
        ((-0.97, 0.26, 0.26, 0.97), 2, "between right angles"),
        ((0, 0, 0, 0), 1, "shows nothing"),
        ((1, 0, 0, 0), 1, "shows nothing"),
    ],
)
def test_a_matrix_between_right_angles_is_taken_as_the_nearest_and_told(
    tmp_path, matrix, number, told
):
    with video.open(turned_file(tmp_path / "a.mp4", matrix)) as source:
        frames = list(source)
    assert {read_quarters(f.image) for f in frames} == {SHOWN[number]}
    assert [told in p for p in source.stats.problems] == [True]


def test_nonsense_in_exif_data_is_no_orientation(tmp_path):
    save_turned(tmp_path / "a.jpg", 77, quarters())
    save_turned(tmp_path / "b.jpg", 6, quarters())
    data = bytearray((tmp_path / "b.jpg").read_bytes())
    at = data.index(b"MM\0*")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"  # the directory lies beyond the end
    (tmp_path / "b.jpg").write_bytes(bytes(data))
    with video.open(tmp_path) as source:
        assert [read_quarters(f.image) for f in source] == [SHOWN[1]] * 2
    assert any("77" in p for p in source.stats.problems)
