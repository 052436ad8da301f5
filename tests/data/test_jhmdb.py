from __future__ import annotations

import numpy as np
import pytest
from data_helpers import DATA, needs_data, numbers, refused

from pvnet import data
from pvnet.errors import FileError, InvalidArgumentError

RNG = np.random.default_rng


def ids(dataset):
    return [item.clip_id for item in dataset.items]


def test_parts_and_tasks(jhmdb):
    spec = f"jhmdb:{jhmdb}"
    small = {"size": (24, 32), "frames": 4}
    assert ids(data.open_dataset(spec, **small)) == ["0", "1", "2"]
    assert ids(data.open_dataset(spec, train=False, **small)) == ["3", "4", "5"]
    assert len(data.open_dataset(spec, split=2, **small)) == 6
    assert ids(data.open_dataset(spec, train=False, task="joints", **small)) == ["3"]
    truth = data.open_dataset(f"{spec}?joints=truth", task="joints", **small)
    assert ids(truth) == ["0"]
    refused(FileError, data.open_dataset, spec, split=3, **small)  # every clip is a test clip
    refused(InvalidArgumentError, data.open_dataset, spec, split=4, **small)
    refused(InvalidArgumentError, data.open_dataset, f"{spec}?joints=mine", **small)
    refused(FileError, data.open_dataset, f"jhmdb:{jhmdb}/videos", **small)


def test_the_old_word_for_joints_is_taken_with_a_warning(jhmdb):
    with pytest.warns(FutureWarning, match=r"option of jhmdb: labels= is called joints= now"):
        truth = data.open_dataset(
            f"jhmdb:{jhmdb}?labels=truth", task="joints", size=(24, 32), frames=4
        )
    assert ids(truth) == ["0"]
    assert truth.describe()["joints"] == "truth"


def test_true_joints_in_pixels_of_the_clip(jhmdb):
    d = data.open_dataset(f"jhmdb:{jhmdb}", size=(120, 80), frames=4, sampling="start")
    clip = d.get(0, RNG(0))
    assert numbers(clip.frames) == [0, 1, 2, 3]
    t, j = np.mgrid[0:4, 0:13]
    want = np.stack([(10 + 20 * j + t + 0.5) / 4 - 0.5, (20 + 15 * j + 0.5) / 2 - 0.5], -1)
    inside = j < 12
    np.testing.assert_array_equal(clip.visible, inside)
    np.testing.assert_allclose(clip.joints[inside], want[inside], atol=1e-4)
    assert clip.fps == pytest.approx(30)
    assert d.classes[clip.label] == "sit"


def test_estimates_where_there_is_no_sure_truth(jhmdb):
    d = data.open_dataset(f"jhmdb:{jhmdb}", size=(240, 320), frames=8)
    for index in (1, 2):  # ambiguous, and without truth
        clip = d.get(index, RNG(0))
        assert not clip.visible[0].any()  # nobody found in the first frame
        assert np.isfinite(clip.joints).all()
        sure = np.ones(13, bool)
        sure[[3, 12]] = False  # unsure, outside
        np.testing.assert_array_equal(clip.visible[1:], np.tile(sure, (7, 1)))
        want = (10 + 1 + 2, 20 + index + 2)
        np.testing.assert_allclose(clip.joints[1, 0], want, atol=1e-4)


def test_crop_follows_the_person(jhmdb):
    d = data.open_dataset(
        f"jhmdb:{jhmdb}", size=(64, 64), frames=4, crop="person", sampling="center"
    )
    clip = d.get(0, RNG(0))
    seen = clip.joints[clip.visible]
    assert clip.visible[:, :12].all()
    middle = (seen.min(0) + seen.max(0)) / 2
    np.testing.assert_allclose(middle, 31.5, atol=1.0)
    assert np.ptp(seen, axis=0).max() == pytest.approx(64 / 1.35, abs=1.0)


def test_same_state_same_clip_and_all_parts_share_one_cache(jhmdb, tmp_path):
    d = data.open_dataset(f"jhmdb:{jhmdb}", size=(24, 32), frames=3)
    a, b = d.get(0, RNG(7)), d.get(0, RNG(7))
    np.testing.assert_array_equal(a.frames, b.frames)
    np.testing.assert_array_equal(a.joints, b.joints)
    starts = {numbers(d.get(0, RNG(s)).frames)[0] for s in range(30)}
    assert len(starts) == 6
    data.open_dataset(f"jhmdb:{jhmdb}", size=(24, 32), frames=None, train=False, task="joints")
    assert len(list((tmp_path / "cache").glob("frames-*/index.npz"))) == 1


def test_description_is_plain(jhmdb):
    import json

    d = data.open_dataset(f"jhmdb:{jhmdb}", size=(24, 32), train=False, task="joints")
    told = json.loads(json.dumps(d.describe()))
    assert told["clips"] == 1
    assert told["left_out"]["counts"] == {"no joints": 2}
    assert isinstance(d, data.Dataset)


@needs_data
@pytest.mark.slow
def test_the_real_data_set():
    d = data.open_dataset(f"jhmdb:{DATA}/jhmdb", size=(24, 32), frames=None, train=False)
    assert len(d) == 268
    assert len(d.classes) == 21
    keypoints = data.open_dataset(
        f"jhmdb:{DATA}/jhmdb", size=(24, 32), frames=None, train=False, task="joints"
    )
    clips = [keypoints.get(k, RNG(0)) for k in range(len(keypoints))]
    assert sum(len(c.frames) for c in clips) == 5_728
    shares = np.mean([c.visible.mean() for c in clips])
    assert 0.82 < shares < 0.92


def test_letterbox_keeps_the_shape(jhmdb):
    whole = data.open_dataset(f"jhmdb:{jhmdb}", size=(240, 320), frames=4, sampling="center")
    boxed = data.open_dataset(
        f"jhmdb:{jhmdb}", size=(64, 64), frames=4, crop="letterbox", sampling="center"
    )
    clip, wanted = boxed.get(0, np.random.default_rng(0)), whole.get(0, np.random.default_rng(0))
    assert clip.frames.shape[1:] == (64, 64, 3)
    assert not clip.frames[:, :8].any()
    assert not clip.frames[:, 56:].any()
    assert clip.frames[:, 8:56].mean() > 5
    moved = (wanted.joints + 0.5) / 5 + [0, 8] - 0.5
    assert np.allclose(clip.joints[clip.visible], moved[clip.visible], atol=1e-3)
