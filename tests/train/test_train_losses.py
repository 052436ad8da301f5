"""Losses and metrics against the same thing written by hand in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.metrics import action_counts, difference, joint_counts, summary
from pvnet.train.losses import (
    action_loss,
    activation_matching,
    joint_loss,
    joint_targets,
    scored_ticks,
    shift_truth,
)

RNG = np.random.default_rng(0)


def test_action_loss_is_softmax_cross_entropy_of_the_scored_ticks():
    logits = RNG.standard_normal((3, 5, 7)).astype(np.float32)
    labels = np.array([0, 4, 2])
    total, count = 0.0, 0
    for b in range(3):
        for t in range(2, 7):
            z = logits[b, :, t].astype(np.float64)
            total += np.log(np.exp(z).sum()) - z[labels[b]]
            count += 1
    scored = scored_ticks(7, warm_up=2, prediction_latency=1)
    found = action_loss(torch.from_numpy(logits), torch.from_numpy(labels), scored)
    assert float(found) == pytest.approx(total / count, rel=1e-6)


def test_the_output_of_tick_t_is_scored_against_frame_t_minus_p():
    frames = torch.arange(6)[None]
    assert shift_truth(frames, 2)[0, 2:].tolist() == [0, 1, 2, 3]
    assert scored_ticks(6, warm_up=1, prediction_latency=2).tolist() == [False] * 2 + [True] * 4
    # A network that gives out the label of two frames ago is right for P = 2 and wrong for P = 0.
    labels = torch.tensor([[0, 1, 2, 0, 1, 2]])
    logits = 50.0 * torch.nn.functional.one_hot(shift_truth(labels, 2)).float().transpose(1, 2)
    scored = scored_ticks(6, warm_up=2, prediction_latency=2)
    assert float(action_loss(logits, shift_truth(labels, 2), scored)) < 1e-6
    assert float(action_loss(logits, labels, scored)) > 10


def test_joint_loss_is_weighted_sigmoid_cross_entropy():
    b, t, j, h, w, stride, sigma, extra = 2, 4, 3, 5, 6, 4, 1.1, 7.0
    heat = RNG.standard_normal((b, j, t, h, w)).astype(np.float32)
    joints = RNG.uniform(0, 20, (b, t, j, 2)).astype(np.float32)
    visible = RNG.random((b, t, j)) < 0.7
    joints[~visible] = np.nan
    total = 0.0
    for bi in range(b):
        for ti in range(1, t):
            for ji in range(j):
                if not visible[bi, ti, ji]:
                    continue
                x, y = joints[bi, ti, ji].astype(np.float64)
                for r in range(h):
                    for c in range(w):
                        # The middle of the cell, in pixels whose centres are whole numbers.
                        dx = (stride * (c + 0.5) - 0.5 - x) / stride
                        dy = (stride * (r + 0.5) - 0.5 - y) / stride
                        target = np.exp(-0.5 * (dx**2 + dy**2) / sigma**2)
                        p = 1 / (1 + np.exp(-np.float64(heat[bi, ji, ti, r, c])))
                        cross = -target * np.log(p) - (1 - target) * np.log(1 - p)
                        total += (1 + extra * target) * cross
    found = joint_loss(
        torch.from_numpy(heat),
        torch.from_numpy(joints),
        torch.from_numpy(visible),
        scored_ticks(t, warm_up=1, prediction_latency=0),
        stride=stride,
        sigma=sigma,
        positive_weight=extra,
    )
    assert float(found) == pytest.approx(total / (b * (t - 1) * j * h * w), rel=1e-5)


def test_invisible_joints_get_no_gradient():
    heat = torch.randn(1, 2, 1, 4, 4, requires_grad=True)
    joints = torch.full((1, 1, 2, 2), 3.0)
    joints[0, 0, 1] = torch.nan
    visible = torch.tensor([[[True, False]]])
    joint_loss(heat, joints, visible, torch.tensor([True]), stride=4).backward()
    assert heat.grad is not None
    assert bool(heat.grad[0, 0].any())
    assert not bool(heat.grad[0, 1].any())


def test_targets_peak_where_the_decoder_finds_them():
    from pvnet.decode.heatmaps import decode_heatmaps

    joints = torch.tensor([[[[13.0, 22.0], [30.5, 9.25]]]])
    maps = joint_targets(joints, torch.ones(1, 1, 2).bool(), size=(8, 12), stride=4, sigma=1.2)
    logits = torch.log(maps.clamp(1e-9) / (1 - maps).clamp(1e-9))
    found, _ = decode_heatmaps(logits[0, :, 0].numpy(), (32, 48))
    assert np.abs(found - joints[0, 0].numpy()).max() < 1.0


def test_activation_matching_is_the_formula_and_moves_only_the_student():
    shapes = {"a": (2, 3, 4, 2, 2), "b": (2, 5, 4, 1, 3), "unused": (2, 1, 4, 1, 1)}
    ours = {k: RNG.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    theirs = {k: RNG.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    want = 0.0
    for name in ("a", "b"):
        d = (ours[name] - theirs[name]).astype(np.float64)[:, :, 1:]
        squared_norm = (d**2).sum(axis=1)  # over the channels of one position and tick
        want += squared_norm.mean() / d.shape[1]
    student = {k: torch.from_numpy(v).requires_grad_() for k, v in ours.items()}
    teacher = {k: torch.from_numpy(v).requires_grad_() for k, v in theirs.items()}
    scored = scored_ticks(4, warm_up=1, prediction_latency=0)
    found = activation_matching(student, teacher, [("a",), ("b",)], scored)
    assert float(found.detach()) == pytest.approx(want, rel=1e-5)
    found.backward()
    assert student["a"].grad is not None
    assert teacher["a"].grad is None


def test_clips_that_end_before_the_warm_up_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"^\[.+\] .+: got .+, expected .+\. .+\.$"):
        scored_ticks(4, warm_up=4, prediction_latency=0)


def test_joint_metrics_on_a_case_done_by_hand():
    truth = np.zeros((3, 13, 2))
    truth[:, 8] = (30, 40)  # right hip: the box is 30 x 40, the torso 50 long
    visible = np.zeros((3, 13), bool)
    visible[:, [1, 8]] = True
    visible[:, 5] = [False, True, False]
    found = truth.copy()
    found[:, 1] += (0, 7)  # within 0.2 of the box (8) and of the torso (10), not within 0.1
    found[0, 8] += (100, 0)  # not scored: before the first tick that counts
    scored = np.array([False, True, True])
    counts = joint_counts(found, truth, visible, scored)
    assert counts["pck@0.2_box"] == (5, 5)
    assert counts["pck@0.1_box"] == (3, 5)
    assert counts["pck@0.2_torso"] == (5, 5)
    assert counts["pck@0.1_torso"] == (3, 5)
    # A joint outside the picture is not scored, but belongs to the person: the box is 30 x 80.
    truth[:, 11] = (20, 80)
    counts_outside = joint_counts(found, truth, visible, scored)
    assert counts_outside["pck@0.1_person"] == (5, 5)
    assert counts_outside["pck@0.1_box"] == (3, 5)
    assert counts["mean_error_px"] == (14, 5)
    assert counts["jitter_px"][1] == 0  # no three scored ticks running
    every = joint_counts(found, truth, visible, np.ones(3, bool))
    # Right hip: 100, 0, 0 to the right of the truth: second difference 100; left shoulder: 0.
    assert every["jitter_px"] == (100, 2)
    assert every["truth_jitter_px"] == (0, 2)


def test_action_metrics_on_a_case_done_by_hand():
    logits = np.zeros((4, 6))
    logits[0, 5] = 9  # not scored
    logits[1:3, 2] = 3
    logits[3, 1] = 3
    scored = np.array([False, True, True, True])
    counts = action_counts(logits, 2, scored)
    assert counts["top1"] == (1, 1)
    assert counts["tick_top1"] == (2, 3)
    assert action_counts(logits, 1, scored)["top1"] == (0, 1)
    assert action_counts(logits, 1, scored)["top5"] == (1, 1)
    assert action_counts(logits, 2, np.zeros(4, bool))["top1"] == (0, 0)


def test_bootstrap_interval_agrees_with_the_binomial_one():
    hits = np.arange(400) % 4 == 0
    out = summary([{"top1": (float(h), 1.0)} for h in hits])
    assert out["top1"] == 0.25
    low, high = out["top1_interval"]
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert low == pytest.approx(0.25 - half, abs=0.01)
    assert high == pytest.approx(0.25 + half, abs=0.01)
    assert summary([{"top1": (0.0, 0.0)}])["top1"] is None


def test_difference_of_two_rows_cancels_what_clips_share():
    rng = np.random.default_rng(0)
    easy = rng.integers(0, 90, 60)  # of 100: clips differ much
    ours = [[(float(h + 5), 100.0) for h in easy]]
    theirs = [[(float(h), 100.0) for h in easy]]
    value, (low, high) = difference(ours, theirs)
    assert value == pytest.approx(0.05)
    assert low == pytest.approx(0.05)
    assert high == pytest.approx(0.05)
    alone = summary([{"top1": pair} for pair in ours[0]])["top1_interval"]
    assert alone[1] - alone[0] > 0.1
    # Noise of its own stays, and the sign follows.
    noisy = [[(float(h + rng.integers(-30, 10)), 100.0) for h in easy]]
    value, (low, high) = difference(noisy, theirs)
    assert low < value < high < 0


def test_difference_over_seeds_and_of_other_clips():
    first, second = [(1.0, 1.0), (0.0, 1.0)], [(1.0, 1.0), (1.0, 1.0)]
    value, _ = difference([first, second], [first])
    assert value == pytest.approx(0.25)
    assert difference([[(0.0, 0.0)]], [[(0.0, 0.0)]]) is None
    with pytest.raises(InvalidArgumentError, match="same clips"):
        difference([first], [first[:1]])
