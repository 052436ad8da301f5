"""bench/accuracy/imagenet_joints.py: a head that learns, what is kept, the fold, the table."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from pvnet.data.clips import Clip

ACCURACY = Path(__file__).resolve().parents[2] / "bench" / "accuracy"


@pytest.fixture(autouse=True)
def accuracy_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ACCURACY))


def frames(n: int, clips: int):
    """Frames whose maps show, a channel each, in which cell a joint is."""
    import imagenet_joints as start

    rng = np.random.default_rng(0)
    cells = rng.integers(1, 7, (n, 13, 2))  # x, y of 8 x 8 cells
    fine = np.zeros((n, 13, 8, 8), np.float16)
    each, joint = np.indices((n, 13))
    fine[each, joint, cells[..., 1], cells[..., 0]] = 4
    joints = (8 * (cells + 0.5) - 0.5).astype(np.float32)
    maps = (fine, np.zeros((n, 2, 4, 4), np.float16), np.zeros((n, 2, 2, 2), np.float16))
    number = np.arange(n) * clips // n
    changed = np.arange(n) % 2 == 1
    names = [str(i) for i in range(clips)]
    return start.Frames(maps, joints, np.ones((n, 13), np.bool_), number, changed, names)


def test_a_head_learns_where_joints_are(monkeypatch):
    import imagenet_joints as start

    monkeypatch.setattr(start, "SIZE", (64, 64))
    monkeypatch.setattr(start, "_BATCH", 16)
    given = frames(64, 4)
    every = np.arange(64)
    decoder = start.train_head(given, every, start.Head(width=32, dropout=0.0, epochs=40), 0)
    counts = start.counts_of(start.find_joints(decoder, given, every), given, every)
    assert [c["pck@0.2_box"][1] for c in counts] == [16 * 13] * 4
    assert sum(c["pck@0.2_box"][0] for c in counts) > 0.9 * 64 * 13


def test_scores_are_those_of_the_clips_in_order():
    import imagenet_joints as start

    given = frames(12, 3)
    chosen = np.arange(4, 12)  # the last two clips
    found = given.joints[chosen].copy()
    found[4:] += 1000
    counts = start.counts_of(found, given, chosen)
    assert [c["pck@0.1_box"] for c in counts] == [(52.0, 52.0), (0.0, 52.0)]


def test_every_third_tick_is_kept_to_train_and_half_of_them_changed():
    import imagenet_joints as start

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (20, 24, 32, 3), dtype=np.uint8)
    joints = rng.uniform(4, 20, (20, 13, 2)).astype(np.float32)
    clip = Clip(pictures, joints, np.ones((20, 13), np.bool_), 0, "a", 30.0)
    kept = list(start.frames_of(clip, 0, "train"))
    assert [changed for _, _, changed in kept] == [True, False, True, False, True, False]
    assert [tick for _, tick, changed in kept if not changed] == [5, 11, 17]
    assert all(len(one.frames) == 1 and one.joints.shape == (1, 13, 2)
               for one, _, changed in kept if changed)  # fmt: skip
    test = list(start.frames_of(clip, 0, "test"))
    assert [(tick, changed) for _, tick, changed in test] == [(t, False) for t in range(13, 20)]
    assert all(one is clip for one, _, _ in test)


def test_the_fold_holds_whole_videos_and_chooses_by_sure_truth():
    import imagenet_joints as start

    rows = [
        {"clip_id": str(i), "label": f"action{i // 2}", "split1": "train", "split2": "train",
         "split3": "train", "has_gt": "1", "ambiguous": str(i % 2)}
        for i in range(20)
    ]  # fmt: skip
    given = frames(80, 20)
    train, valid = start.split_fold(rows, given)
    held = {8, 9, 18, 19}  # the fifth and tenth source, of two clips each
    assert set(given.clip[train]) == set(range(20)) - held
    assert set(given.clip[valid]) == {8, 18}
    assert not given.changed[valid].any()
    assert given.changed[train].any()


def test_norms_take_the_statistics_of_frames():
    import torch
    from imagenet_body import MEAN, STD, measure_norms
    from torch import nn

    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    measure_norms(body, pictures)
    assert not body[1].training
    x = (torch.as_tensor(pictures).permute(0, 3, 1, 2) / 255 - MEAN) / STD
    with torch.no_grad():
        y = body(x)
    assert np.allclose(y.mean((0, 2, 3)), 0, atol=1e-3)
    assert np.allclose(y.std((0, 2, 3)), 1, atol=1e-2)


def test_the_table_compares_with_both_rivals():
    import imagenet_joints as start

    args = argparse.Namespace(records=ACCURACY / "records" / "imagenet")
    lines = start.format_table(args).splitlines()
    assert lines[2].startswith("| Par-DenseNet, sequential | 96 x 128 | 0.662")
    assert lines[3].startswith("| MoveNet, sequential | 192 x 192 | 0.792")
    assert {line.count("|") for line in lines[:4]} == {8}


def test_what_has_a_validation_score_is_not_trained_again(tmp_path):
    import json

    import imagenet_joints as start

    scores = {str(head): 0.1 * i for i, head in enumerate(start.HEADS)}
    (tmp_path / "validation.json").write_text(json.dumps(scores))
    assert start.choose(argparse.Namespace(runs=tmp_path)) == (start.HEADS[-1], scores)
