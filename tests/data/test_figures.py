from __future__ import annotations

import numpy as np
import pytest
from data_helpers import DATA, needs_data, refused, write_video

from pvnet import data
from pvnet.data.sets.figures import mirror_labels
from pvnet.data.sets.tracks import Tracks, cut_window, repair
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.video.synthetic import ACTIONS, REVERSED_PAIRS

RNG = np.random.default_rng
SMALL = {"size": (48, 36), "frames": 6}


def write_tracks(path, n=12, sequences=6):
    rng = RNG(0)
    base = np.array(
        [[50, 10], [60, 25], [40, 25], [66, 40], [34, 40], [70, 54], [30, 54], [56, 58], [44, 58],
         [58, 80], [42, 80], [58, 100], [42, 100]], float)  # fmt: skip
    xy = np.stack(
        [base + np.array([100 + 3 * t, 50 + k]) for k in range(sequences) for t in range(n)]
    )
    xy += rng.normal(0, 0.2, xy.shape)
    xy[2, 5] = 1  # a gap
    xy[n : 2 * n, 0] = 1  # sequence 1 has no head
    np.savez(
        path,
        xy=xy.astype(np.float32),
        label=np.array([0, 1, 0, 1, 0, 1], np.uint8)[:sequences],
        classes=np.array(["golf_swing", "squat"]),
        offset=np.arange(0, n * sequences + 1, n),
        train=np.arange(sequences) < 4,
        viewpoint=np.array(["left", "right", "front", "back", "left", "right"])[:sequences],
        seq=np.array([f"{k:04d}" for k in range(sequences)]),
    )
    return path


def test_procedural_clips_are_what_was_asked_for():
    d = data.open_dataset("figures?n=36", **SMALL)
    assert len(d) == 36
    assert d.classes == ACTIONS
    assert len(ACTIONS) >= 12
    assert len(REVERSED_PAIRS) >= 5
    clip = d.get(20, RNG(1))
    assert clip.frames.shape == (6, 48, 36, 3)
    assert clip.joints.shape == (6, 13, 2)
    assert clip.label == 2
    assert clip.visible.any()
    again, other = d.get(20, RNG(1)), d.get(20, RNG(2))
    np.testing.assert_array_equal(clip.frames, again.frames)
    assert (clip.frames != other.frames).any()
    assert isinstance(d, data.Dataset)


def test_test_clips_never_change_and_are_none_of_training():
    test = data.open_dataset("figures?n=20", train=False, **SMALL)
    a, b = test.get(3, RNG(1)), test.get(3, RNG(99))
    np.testing.assert_array_equal(a.frames, b.frames)
    train = data.open_dataset("figures?n=20", train=True, **SMALL)
    for seed in range(5):
        assert (train.get(3, RNG(seed)).frames != a.frames).any()
    other = data.open_dataset("figures?n=20&seed=1", train=False, **SMALL)
    assert (other.get(3, RNG(1)).frames != a.frames).any()
    refused(InvalidArgumentError, test.get, 20, RNG(0))


def test_mirrored_labels_exchange_directions_only():
    m = mirror_labels()
    assert [m[k] for k in m] == list(range(len(ACTIONS)))
    assert ACTIONS[m[ACTIONS.index("walk_left")]] == "walk_right"
    assert m[ACTIONS.index("jump")] == ACTIONS.index("jump")


def test_tracks_become_figures_whose_joints_are_known(tmp_path):
    path = write_tracks(tmp_path / "tracks.npz")
    d = data.open_dataset(f"figures:{path}", **SMALL)
    assert d.classes == ("golf_swing", "squat", "golf_swing_reversed")
    assert len(d) == 6  # four sequences, two of them also backwards
    labels = [d.get(k, RNG(0)).label for k in range(6)]
    assert sorted(labels) == [0, 0, 1, 1, 2, 2]
    clip = d.get(0, RNG(5))
    assert clip.visible.mean() > 0.7
    headless = next(m for m in range(6) if d.tracks.motions[m].name == "0001")
    assert not d.get(headless, RNG(0)).visible[:, 0].any()
    assert np.isfinite(d.get(headless, RNG(0)).joints).all()
    plain = data.open_dataset(f"figures:{path}?reversed=0", **SMALL)
    assert plain.classes == ("golf_swing", "squat")
    test = data.open_dataset(f"figures:{path}", train=False, **SMALL)
    names = {m.name.removesuffix("_reversed") for m in test.tracks.motions}
    assert names == {"0004", "0005"}
    np.testing.assert_array_equal(test.get(1, RNG(0)).frames, test.get(1, RNG(1)).frames)
    refused(FileError, data.open_dataset, f"figures:{tmp_path / 'none.npz'}")


def test_the_figure_is_drawn_where_its_joints_are(tmp_path):
    path = write_tracks(tmp_path / "tracks.npz")
    d = data.open_dataset(f"figures:{path}", size=(64, 64), frames=4)
    quiet = np.full((4, 64, 64, 3), 128, np.float32)
    still = type("Still", (), {"frames": lambda *_: quiet, "describe": lambda _: "grey"})()
    from dataclasses import replace

    clip = replace(d, backdrops=still).get(0, RNG(3))
    grey = clip.frames[..., :].astype(float)
    off = np.abs(grey - np.median(grey, axis=(1, 2), keepdims=True)).max(axis=-1)
    ys, xs = np.nonzero(off[1] > 40)
    seen = clip.joints[1][clip.visible[1]]
    assert xs.min() - 8 < seen[:, 0].min()
    assert xs.max() + 8 > seen[:, 0].max()
    assert abs(np.median(ys) - np.median(seen[:, 1])) < 8


def test_gaps_are_filled_in_a_straight_line():
    xy = np.full((5, 13, 2), 50.0, np.float32)
    xy[:, 4] = [[10, 20], [1, 1], [30, 40], [1, 1], [1, 1]]
    xy[:, 7] = 1
    got, known = repair(xy)
    np.testing.assert_allclose(got[:, 4], [[10, 20], [20, 30], [30, 40], [30, 40], [30, 40]])
    assert known.tolist() == [j != 7 for j in range(13)]
    assert np.isnan(got[:, 7]).all()


def test_windows_interpolate_and_short_performances_go_slower(tmp_path):
    m = Tracks(write_tracks(tmp_path / "t.npz"), train=True).motions[0]
    half = cut_window(m, 5, 0.5, 0.0)
    np.testing.assert_allclose(half[::2], m.joints[:3], rtol=1e-6)
    np.testing.assert_allclose(half[1], (m.joints[0] + m.joints[1]) / 2, rtol=1e-5)
    end = cut_window(m, 4, 1.0, 1.0)
    np.testing.assert_array_equal(end[-1], m.joints[-1])
    long = cut_window(m, 40, 1.0, 0.0)
    assert long.shape == (40, 13, 2)
    np.testing.assert_array_equal(long[-1], m.joints[-1])
    np.testing.assert_allclose(long[2], m.joints[1], rtol=1e-5)


def test_figures_stand_before_frames_of_real_videos(tmp_path):
    write_video(tmp_path / "bg" / "a.mp4", 4, size=(48, 64))
    (tmp_path / "bg" / "b.mp4").write_bytes(b"broken")
    d = data.open_dataset(f"figures?backgrounds={tmp_path / 'bg'}", **SMALL)
    clip = d.get(0, RNG(0))
    assert clip.frames.shape == (6, 48, 36, 3)
    assert "1 videos" in d.describe()["backgrounds"]
    # A video of flat grey frames behind a figure: most pixels are hardly coloured.
    corner = clip.frames[:, :4, :4].astype(float)
    assert corner.std(axis=(1, 2)).max() < 25
    tracks = write_tracks(tmp_path / "t.npz")
    e = data.open_dataset(f"figures:{tracks}?backgrounds={tmp_path / 'bg'}", **SMALL)
    assert e.get(0, RNG(0)).frames.shape == (6, 48, 36, 3)
    (tmp_path / "none").mkdir()
    refused(FileError, data.open_dataset, f"figures?backgrounds={tmp_path / 'none'}", **SMALL)


def test_speeds_differ_in_training():
    d = data.open_dataset("figures?n=18", size=(48, 36), frames=10)
    walk = ACTIONS.index("jump")
    ways = []
    for seed in range(6):
        j = d.get(walk, RNG(seed)).joints
        ways.append(np.abs(np.diff(j, axis=0)).mean())
    assert max(ways) > 1.5 * min(ways)


@needs_data
def test_penn_action_tracks():
    t = Tracks(DATA / "penn_action" / "penn13_tracks.npz", train=True)
    assert len(t.classes) == 22
    assert len(t.motions) > 1200
    assert all(m.joints.shape[1:] == (13, 2) for m in t.motions)
    other = Tracks(DATA / "penn_action" / "penn13_tracks.npz", train=False)
    assert not {m.name for m in t.motions} & {m.name for m in other.motions}


@pytest.mark.parametrize("fps", [None, 12.5])
def test_rate_of_a_clip(fps):
    d = data.open_dataset("figures?n=4", train=False, fps=fps, **SMALL)
    assert d.get(0, RNG(0)).fps == (25.0 if fps is None else 12.5)
