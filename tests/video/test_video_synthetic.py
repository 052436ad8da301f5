from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pvnet.errors import InvalidArgumentError
from pvnet.video import FLIP, JOINTS, SKELETON, flip_joints
from pvnet.video.joints import SIDE
from pvnet.video.synthetic import (
    ACTIONS,
    REVERSED_PAIRS,
    Style,
    SyntheticVideo,
    clip,
    render,
)
from pvnet.video.synthetic.actions import Manner, action, pose_at
from pvnet.video.synthetic.body import Body, root_motion, skeleton

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import refused


def test_names_and_mirror():
    assert len(JOINTS) == len(FLIP) == len(SIDE) == 13
    assert [FLIP[FLIP[j]] for j in range(13)] == list(range(13))
    for j, name in enumerate(JOINTS):
        swap = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert JOINTS[FLIP[j]] == swap
    assert {j for bone in SKELETON for j in bone} == set(range(1, 13))
    assert len(ACTIONS) == len(set(ACTIONS)) >= 12
    assert len(REVERSED_PAIRS) >= 4
    xy = np.random.default_rng(0).uniform(0, 50, (2, 13, 2)).astype(np.float32)
    assert np.allclose(flip_joints(flip_joints(xy, 64), 64), xy)
    assert np.allclose(flip_joints(xy, 64)[:, 1, 0], 63 - xy[:, 2, 0])
    refused(InvalidArgumentError, flip_joints, xy[:, :5], 64)


def test_same_seed_same_pixels_other_seed_other_pixels():
    a, b, c = (clip(s, 6, 64, 48) for s in (5, 5, 6))
    for x, y in zip(a, b):
        assert np.array_equal(x, y)
    assert not np.array_equal(a[0], c[0])
    long = [f.image for f in SyntheticVideo(9, 48, 32, 80)]
    endless = SyntheticVideo(9, 48, 32)
    assert all(np.array_equal(x, next(endless).image) for x in long)


@pytest.mark.parametrize("name", ACTIONS)
def test_clip_of_every_action(name):
    images, joints, visible, label = clip(3, 16, 128, 96, action=name)
    assert ACTIONS[label] == name
    assert images.shape == (16, 128, 96, 3)
    assert images.dtype == np.uint8
    assert joints.shape == (16, 13, 2)
    assert joints.dtype == np.float32
    assert visible.shape == (16, 13)
    assert visible.dtype == bool
    inside = ((joints > -0.5) & (joints < [95.5, 127.5])).all(-1)
    assert not (visible & ~inside).any()
    assert visible.mean() > 0.6
    steps = np.abs(np.diff(joints, axis=0)).max()
    assert 0 < steps < 30


def test_joints_lie_on_the_figure():
    """With and without the figure, pictures differ at the joints and hardly anywhere else."""
    hits, total, share = 0, 0, []
    for seed in range(12):
        settings = {"noise": 0.0, "plain": True, "distractors": 0}
        frames = list(SyntheticVideo(seed, 128, 96, 3, **settings))
        for f in frames:
            ground = np.median(f.image.reshape(-1, 3), axis=0)
            figure = np.abs(f.image.astype(float) - ground).max(-1) > 12
            share.append(figure.mean())
            for (x, y), v in zip(f.joints, f.visible):
                if v:
                    yy, xx = round(float(y)), round(float(x))
                    near = figure[max(yy - 1, 0) : yy + 2, max(xx - 1, 0) : xx + 2]
                    hits += bool(near.size and near.any())
                    total += 1
    assert total > 200
    assert hits / total > 0.95
    assert np.mean(share) < 0.4


def test_colours_at_the_limbs():
    style = Style(skin=(255, 0, 0), shirt=(0, 255, 0), trousers=(0, 0, 255), sleeve=0.0, leg=1.0)
    joints = np.array(
        [
            [60, 20],
            [75, 40], [45, 40], [90, 60], [30, 60], [95, 85], [25, 85],
            [68, 90], [52, 90], [70, 115], [50, 115], [70, 140], [50, 140],
        ],
        np.float32,
    )  # fmt: skip
    seen = np.ones(13, bool)
    background = np.zeros((160, 120, 3), np.uint8)
    image = render(joints, seen, style=style, background=background)
    for point, channel in (((82, 50), 0), ((38, 50), 0), ((60, 60), 1), ((70, 115), 2)):
        pixel = image[point[1], point[0]]
        assert pixel.argmax() == channel
        assert pixel[channel] > 150
        assert np.delete(pixel, channel).max() < 60
    assert not background.any()
    seen[5] = False
    without = render(joints, seen, style=style, background=background)
    assert not without[80, 94].any()
    assert image[80, 94].any()
    nothing = render(joints, np.zeros(13, bool), style=style, background=background)
    assert not nothing.any()
    nan = np.where(np.arange(13)[:, None] == 6, np.nan, joints).astype(np.float32)
    assert render(nan, np.ones(13, bool), style=style, background=background).any()
    two = render(np.stack([joints, joints + 8]), np.ones((2, 13)), style=style, background=image)
    assert two.shape == image.shape
    refused(InvalidArgumentError, render, joints[:5], seen[:5], style=style, background=image)


def test_reversed_pairs_are_one_curve_backwards():
    u = np.linspace(0, 1, 9)
    for there, back in REVERSED_PAIRS:
        a, b = action(ACTIONS.index(there)), action(ACTIONS.index(back))
        assert np.allclose(pose_at(a, u, Manner()), pose_at(b, 1 - u, Manner()))


def test_bones_keep_their_length_and_feet_do_not_slide():
    body = Body()
    for index, name in enumerate(ACTIONS):
        pose = pose_at(action(index), np.linspace(0, 1, 40), Manner())
        points = skeleton(pose, body)
        for a, b, length in ((1, 3, body.upper_arm), (6, 4, body.forearm), (7, 9, body.thigh)):
            assert np.allclose(np.linalg.norm(points[:, a] - points[:, b], axis=1), length), name
        assert points[:, 11:13, 1].min() > 0
        if name.startswith("walk"):
            way = root_motion(points, pose)
            assert 0.4 < way[-1] < 1.6
            lower = points[:, 11:13, 1].argmin(axis=1)
            foot = way + points[np.arange(40), 11 + lower, 2]
            same = lower[1:] == lower[:-1]
            assert np.abs(np.diff(foot)[same]).max() < 0.05


@pytest.mark.parametrize(("name", "sign"), [("walk_left", -1), ("walk_right", 1), ("run_right", 1)])
def test_walkers_face_and_move_the_way_they_are_called(name, sign):
    for seed in range(4):
        _, joints, _, _ = clip(seed, 20, 96, 96, action=name)
        head = joints[:, 0, 0] - joints[:, 7:9, 0].mean(1)
        assert np.sign(np.median(head)) == sign  # leans forward


def test_endless_sequence_changes_actions_sensibly():
    video = SyntheticVideo(2, 32, 24, 1500)
    frames = list(video)
    labels = [f.action for f in frames]
    changes = [(a, b) for a, b in pairwise(labels) if a != b]
    assert len(set(labels)) >= 8
    follow = dict(REVERSED_PAIRS)
    for a, b in changes:
        if ACTIONS[a] in follow:
            assert ACTIONS[b] == follow[ACTIONS[a]]
    seen = np.mean([f.visible.mean() for f in frames])
    assert seen > 0.8
    bodies = np.stack([f.joints - f.joints[:, :1].mean() for f in frames])
    assert np.isfinite(bodies).all()


def test_several_figures_and_none():
    frame = next(SyntheticVideo(4, 64, 64, figures=3))
    assert frame.all_joints.shape == (3, 13, 2)
    assert np.array_equal(frame.all_joints[0], frame.joints)
    empty = next(SyntheticVideo(4, 64, 64, figures=0))
    assert empty.action == -1
    assert not empty.visible.any()


def test_bad_sizes_actions_and_seeds_are_refused():
    refused(InvalidArgumentError, SyntheticVideo, 0, 8, 64)
    refused(InvalidArgumentError, SyntheticVideo, 0, 64, 64, action="fly")
    refused(InvalidArgumentError, SyntheticVideo, 0, 64, 64, action=len(ACTIONS))
    refused(InvalidArgumentError, SyntheticVideo, 0, 64, 64, fps=0)
    refused(InvalidArgumentError, SyntheticVideo, -1)
    refused(InvalidArgumentError, clip, 0, 0, 64, 64)
