from __future__ import annotations

import numpy as np
import pytest
from data_helpers import DATA, level, needs_data, numbers, refused, write_csv, write_video
from pictures import save_png

from pvnet import data
from pvnet.data.files import lists, tree
from pvnet.errors import FileError, InvalidArgumentError

IDS = ["-Qhiiw9yJvc", "a_b-c_d-e_f", "___________", "0wR5jVB-WPk", "shortshort1", "corrupt0000"]
HEADER = ["label", "youtube_id", "time_start", "time_end", "split", "is_cc"]


@pytest.fixture
def archive(tmp_path):
    """Per-label tree with what real copies have: odd sizes, variable rate, damage, gaps."""
    root = tmp_path / "videos"
    write_video(root / "air_drumming" / f"{IDS[0]}_000005_000015.mp4", 40, fps=10)
    times = np.cumsum([0, *([40, 160] * 20)])[:40]
    write_video(root / "air_drumming" / f"{IDS[1]}_000000_000010.mkv", 40, times=times.tolist())
    write_video(root / "playing chess" / f"{IDS[2]}.mp4", 40, fps=10, size=(47, 63))
    write_video(root / "playing chess" / f"{IDS[3]}_000100_000110.mp4", 40, fps=10)
    write_video(root / "playing chess" / f"{IDS[4]}_000000_000010.mp4", 3, fps=10)
    (root / "playing chess" / f"{IDS[5]}_000000_000010.mp4").write_bytes(b"\0" * 5000)
    (root / "playing chess" / "notes.txt").write_text("no video")
    rows = [
        ["air drumming", IDS[0], 5, 15, "train", 0],
        ["air drumming", IDS[1], 0, 10, "train", 0],
        ["playing chess", IDS[2], 7, 17, "train", 0],
        ["playing chess", IDS[3], 100, 110, "train", 1],
        ["playing chess", IDS[4], 0, 10, "train", 0],
        ["playing chess", IDS[5], 0, 10, "train", 0],
        ["playing chess", "not_on_disk", 0, 10, "train", 0],
    ]
    return root, write_csv(tmp_path / "train.csv", HEADER, rows)


def test_videos_left_out_were_called_skipped():
    with pytest.warns(FutureWarning, match="Skipped is called LeftOut now"):
        assert data.Skipped is data.LeftOut


def test_bad_videos_are_left_out_counted_and_listed(archive):
    root, csv = archive
    d = data.open_dataset(f"kinetics:{root}?csv={csv}", size=(24, 32), frames=16, fps=10)
    assert d.classes == ("air drumming", "playing chess")
    assert [i.clip_id.split("/")[-1][:11] for i in d.items] == IDS[:4]
    told = d.describe()["left_out"]
    assert told["counts"] == {"missing": 1, "corrupt": 1, "short": 1}
    assert len(told["listed"]) == 3
    assert any("not_on_disk" in line for line in told["listed"])
    for k in range(4):
        clip = d.get(k, np.random.default_rng(k))
        assert clip.frames.shape == (16, 24, 32, 3)
        assert clip.label == k // 2
        assert clip.joints is None
    assert d.describe()["clips_per_class"] == {"air drumming": 2, "playing chess": 2}


def test_clips_show_the_right_times(archive):
    root, csv = archive
    d = data.open_dataset(
        f"kinetics:{root}?csv={csv}", size=(24, 32), frames=6, fps=5, sampling="start"
    )
    rng = np.random.default_rng(0)
    assert numbers(d.get(0, rng).frames) == [0, 2, 4, 6, 8, 10]
    # 40 and 160 ms in turn: frames 2k at 200k ms, 2k + 1 at 200k + 40 ms.
    assert numbers(d.get(1, rng).frames) == [0, 2, 4, 6, 8, 10]


def test_cached_is_the_same_as_read_in_place(archive):
    root, csv = archive
    spec = f"kinetics:{root}?csv={csv}"
    for crop in ("none", "center"):
        both = [
            data.open_dataset(spec, size=(24, 24), frames=8, fps=5, crop=crop, use_cache=c)
            for c in (False, True)
        ]
        for k in range(3):
            a, b = (d.get(k, np.random.default_rng(k)).frames for d in both)
            np.testing.assert_array_equal(a, b)


def test_a_video_that_breaks_later_is_replaced_and_said_so(archive):
    root, csv = archive
    d = data.open_dataset(f"kinetics:{root}?csv={csv}", size=(24, 32), frames=8, fps=10)
    path = root / d.items[0].clip_id
    path.write_bytes(path.read_bytes()[:900])
    clip = d.get(0, np.random.default_rng(3))
    assert clip.clip_id != d.items[0].clip_id
    assert any(IDS[0] in line for line in clip.problems)
    again = d.get(0, np.random.default_rng(3))
    assert again.clip_id == clip.clip_id


def test_every_broken_video_ends_with_a_message(archive):
    root, csv = archive
    d = data.open_dataset(f"kinetics:{root}?csv={csv}", size=(24, 32), frames=8, fps=10)
    for item in d.items:
        (root / item.clip_id).write_bytes(b"gone")
    refused(FileError, d.get, 0, np.random.default_rng(0))


def test_flat_folder_and_begin_decides_between_parts_of_one_video(tmp_path):
    for start in (0, 30):
        write_video(tmp_path / f"a_b-c_d-e_f_{start:06d}_{start + 10:06d}.mp4", 12)
    write_video(tmp_path / "12345678901.mp4", 12)
    t = tree.Tree(tmp_path)
    entry = lists.Entry("a_b-c_d-e_f", "x", True, 30.0)
    assert t.find(entry, {"a_b-c_d-e_f": 1}).stem.endswith("000040")
    other = lists.Entry("a_b-c_d-e_f", "x", True, 77.0)
    assert t.find(other, {"a_b-c_d-e_f": 3}) is None
    untimed = lists.Entry("12345678901", "x", True, 5.0)
    assert t.find(untimed, {"12345678901": 2}).name == "12345678901.mp4"
    assert t.label_of(t.files[0]) is None


def test_lists_of_every_kind(tmp_path):
    mm = tmp_path / "mm.txt"
    mm.write_text("air drumming/a b.mp4 3\nx/y.mp4 250 7\n")
    assert [(e.name, e.label, e.by_id) for e in lists.read_list(mm)] == [
        ("air drumming/a b.mp4", "3", False),
        ("x/y.mp4", "7", False),
    ]
    ids = tmp_path / "ids.txt"
    ids.write_text("-Qhiiw9yJvc\na_b-c_d-e_f\n")
    assert [(e.name, e.label, e.by_id) for e in lists.read_list(ids)] == [
        ("-Qhiiw9yJvc", None, True),
        ("a_b-c_d-e_f", None, True),
    ]
    own = write_csv(tmp_path / "own.csv", ["path", "label"], [["a, b.mp4", "x"]])
    assert lists.read_list(own)[0].name == "a, b.mp4"
    empty = tmp_path / "empty.csv"
    empty.write_text("\n")
    refused(FileError, lists.read_list, empty)
    refused(FileError, lists.read_list, tmp_path / "none.csv")


def test_mmaction2_list_with_a_label_map_and_another_root(tmp_path):
    root = tmp_path / "v"
    for k, name in enumerate(("b", "a")):
        write_video(root / name / f"clip{k}.mp4", 12)
    mm = tmp_path / "list.txt"
    mm.write_text("kinetics400/videos_train/b/clip0.mp4 1\nold/a/clip1.mp4 0\nold/a/clip9.mp4 0\n")
    names = tmp_path / "map.txt"
    names.write_text("abseiling\nbowling\n")
    d = data.open_dataset(f"kinetics:{root}?csv={mm}&labels={names}", frames=8, size=(24, 32))
    assert d.classes == ("abseiling", "bowling")
    assert [(i.clip_id, i.label) for i in d.items] == [("b/clip0.mp4", 1), ("a/clip1.mp4", 0)]
    assert d.left_out.counts == {"missing": 1}


def write_frames(folder, n, *, damaged=()):
    for k in range(n):
        path = folder / f"img_{k + 1:05d}.png"
        save_png(path, np.full((48, 64, 3), level(k), np.uint8))
        if k in damaged:
            path.write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("use_cache", [False, True])
def test_mmaction2_lists_of_folders_of_images(tmp_path, use_cache):
    root = tmp_path / "rawframes"
    write_frames(root / "b" / "clip0", 12)
    write_frames(root / "a" / "clip1", 12, damaged=(6,))
    write_frames(root / "a" / "clip2", 12, damaged=(0,))
    write_frames(root / "a" / "clip3", 2)
    (root / "a" / "clip4").mkdir()
    mm = tmp_path / "list.txt"
    mm.write_text("old/b/clip0 12 1\n" + "".join(f"a/clip{k} 12 0\n" for k in range(1, 6)))
    d = data.open_dataset(
        f"kinetics:{root}?csv={mm}", frames=8, size=(24, 32), sampling="start", use_cache=use_cache
    )
    told = d.describe()["left_out"]["counts"]
    assert told == {"corrupt": 2, "short": 1, "missing": 1}
    assert [i.clip_id for i in d.items] == ["b/clip0", "a/clip1"]
    assert [d.classes[i.label] for i in d.items] == ["1", "0"]
    clips = [d.get(k, np.random.default_rng(0)) for k in range(2)]
    assert numbers(clips[0].frames) == list(range(8))
    # Its own frames one after the other: the cache knows which ones can be read.
    assert numbers(clips[1].frames) == [0, 1, 2, 3, 4, 5, *((7, 8) if use_cache else (5, 7))]
    assert clips[0].fps == 25
    half = data.open_dataset(
        f"kinetics:{root}?csv={mm}", frames=5, fps=12.5, size=(24, 32), sampling="start"
    )
    assert numbers(half.get(0, np.random.default_rng(0)).frames) == [0, 2, 4, 6, 8]


def test_splits_of_an_own_list_and_a_tree_without_a_list(tmp_path):
    root = tmp_path / "v"
    rows = []
    for k in range(4):
        write_video(root / ("run", "sit")[k % 2] / f"{k}.mp4", 12)
        split = ("train", "test")[k // 2]
        rows.append([f"{('run', 'sit')[k % 2]}/{k}.mp4", ("run", "sit")[k % 2], split])
    csv = write_csv(tmp_path / "l.csv", ["path", "label", "split"], rows)
    spec = f"folder:{root}?csv={csv}"
    for train, want in ((True, ["0", "1"]), (False, ["2", "3"])):
        d = data.open_dataset(spec, train=train, frames=8, size=(24, 32), split=1)
        assert [i.clip_id.split("/")[1][0] for i in d.items] == want
    named = data.open_dataset(spec, split="test", frames=8, size=(24, 32))
    assert len(named) == 2
    refused(FileError, data.open_dataset, spec, split="val", frames=8, size=(24, 32))
    bare = data.open_dataset(f"folder:{root}", frames=8, size=(24, 32))
    assert bare.classes == ("run", "sit")
    assert [i.label for i in bare.items] == [0, 0, 1, 1]


def test_a_class_has_one_number_in_every_split_whatever_videos_are_there(tmp_path):
    root = tmp_path / "v"
    rows = []
    for name, split in (("a", "train"), ("b", "train"), ("c", "train"), ("b", "val"), ("c", "val")):
        path = f"{name}/{split}.mp4"
        write_video(root / path, 12)
        rows.append([path, name, split])
    rows.append(["0/gone.mp4", "0_gone", "train"])
    csv = write_csv(tmp_path / "l.csv", ["path", "label", "split"], rows)
    spec = f"folder:{root}?csv={csv}"
    for train, want in ((True, "abc"), (False, "bc")):
        d = data.open_dataset(spec, train=train, frames=8, size=(24, 32), task="actions")
        assert d.classes == ("0_gone", "a", "b", "c")
        assert "".join(d.classes[i.label] for i in d.items) == want
    # A list of paths alone: the folders that it names, not all there are.
    bare = write_csv(tmp_path / "bare.csv", ["path", "split"], [r[::2] for r in rows[1:5]])
    d = data.open_dataset(f"folder:{root}?csv={bare}", train=False, frames=8, size=(24, 32))
    assert d.classes == ("b", "c")


def test_bad_specifications_are_refused(tmp_path):
    for spec in ("kinetics", "imagenet:x", "figures?x=1", "jhmdb:x?joints=", "figures?n=many"):
        refused(InvalidArgumentError, data.open_dataset, spec)
    refused(FileError, data.open_dataset, f"kinetics:{tmp_path}/none")
    refused(FileError, data.open_dataset, f"kinetics:{tmp_path}")
    for wrong in ({"size": (4, 4)}, {"frames": 0}, {"fps": 0.0}, {"crop": "x"}, {"sampling": "x"}):
        refused(InvalidArgumentError, data.open_dataset, "figures", **wrong)


@needs_data
def test_official_mini_kinetics_lists():
    folder = DATA / "mini_kinetics"
    train, val = (lists.read_list(folder / f"{p}_k200.csv") for p in ("train", "val"))
    assert len(train) == 80_000
    assert len(val) == 5_000
    classes = lists.read_classes(folder / "label_map_k200.txt")
    assert len(classes) == 200
    assert {lists.normalise(e.label) for e in train} == {lists.normalise(c) for c in classes}
    assert all(len(e.name) == 11 and e.by_id for e in train + val)
    ids = lists.read_list(folder / "val_ytid_list.txt")
    assert {e.name for e in ids} == {e.name for e in val}
