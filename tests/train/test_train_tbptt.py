"""Carried state: pieces give what the whole gives; a new video in a row is a new stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_runs import SIZE, figures

from pvnet.errors import StateError
from pvnet.models import par_densenet, par_inception
from pvnet.train.tbptt import Carried, VideoRows


def network(name: str):
    torch.manual_seed(0)
    if name == "densenet":
        net = par_densenet(
            size=SIZE, width=0.125, stages=3, wiring="predictive", skips="head", temporal=3
        )
    elif name == "feedback":
        net = par_densenet(size=SIZE, width=0.125, stages=2, wiring="predictive", feedback=True)
    else:
        net = par_inception(
            classes=4, size=SIZE, width=0.125, stages=3, wiring="predictive", clocks="i3d"
        )
    for module in net.modules():  # else a node that fires on zeros gives 0, as if it had not fired
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.bias, 0.1, 0.5)
    return net.eval()


NETWORKS = ("densenet", "feedback", "inception with clocks")


@pytest.mark.parametrize("name", NETWORKS)
def test_pieces_with_carried_state_are_the_whole_clip(name):
    net = network(name)
    hyper = net.graph.hyper_period
    clip = torch.randn(2, 3, 3 * hyper if hyper > 1 else 9, *SIZE)
    ages = torch.arange(clip.shape[2])[None].expand(2, -1)
    carried = Carried(net)
    with torch.no_grad():
        whole = net(clip)
        pieces = [
            carried(clip[:, :, i : i + 3], ages[:, i : i + 3]) for i in range(0, clip.shape[2], 3)
        ]
    for output, y in whole.items():
        together = torch.cat([p[output] for p in pieces], dim=2)
        assert torch.allclose(together, y, atol=1e-4), output


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_that_begins_anew_is_a_new_stream_and_the_other_does_not_notice(name):
    net = network(name)
    hyper = net.graph.hyper_period
    first, second = torch.randn(2, 3, 2 * max(hyper, 3), *SIZE), torch.randn(1, 3, 8, *SIZE)
    n = max(hyper, 3)
    clip = first[:, :, : n + 8] if first.shape[2] >= n + 8 else torch.randn(2, 3, n + 8, *SIZE)
    clip[1:, :, n:] = second
    ages = torch.arange(n + 8)[None].repeat(2, 1)
    ages[1, n:] -= n
    with torch.no_grad():
        found = Carried(net)(clip, ages)
        for output, y in found.items():
            assert torch.allclose(y[:1], net(clip[:1])[output], atol=1e-4)
            assert torch.allclose(y[1:, :, n:], net(second)[output], atol=1e-4)


def test_a_row_may_only_begin_in_step_with_the_clocks():
    net = network("inception with clocks")
    assert net.graph.hyper_period > 1
    ages = torch.tensor([[0, 1, 2], [0, 0, 1]])
    with pytest.raises(StateError, match=r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"):
        Carried(net)(torch.randn(2, 3, 3, *SIZE), ages)


def test_gradients_end_where_the_piece_begins():
    net = network("densenet")
    carried = Carried(net)
    old = torch.randn(1, 3, 2, *SIZE, requires_grad=True)
    carried(old, torch.tensor([[0, 1]]))
    out = carried(torch.randn(1, 3, 2, *SIZE), torch.tensor([[2, 3]]))
    out["heatmaps"].sum().backward()
    assert old.grad is None
    assert net.get_parameter("stem/conv.weight").grad is not None


def test_rows_play_one_video_after_another_with_the_truth_of_their_frames():
    dataset = figures(3, 5, ragged=True)
    rows = VideoRows(dataset, rows=2, ticks=4, seed=3, prediction_latency=1)
    pieces = [next(rows) for _ in range(6)]
    ages = torch.cat([p["ages"] for p in pieces], dim=1)
    joints = torch.cat([p["joints"] for p in pieces], dim=1).numpy()
    labels = torch.cat([p["label"] for p in pieces], dim=1)
    assert pieces[0]["frames"].shape == (2, 3, 4, *SIZE)
    for row in range(2):
        begins = [t for t in range(24) if ages[row, t] == 0]
        assert begins[0] == 0
        assert len(begins) > 3
        for begin in begins[:-1]:
            known = [c for c in dataset.clips if np.array_equal(c.joints[0], joints[row, begin])]
            clip = known[0]
            n = len(clip.frames)
            assert ages[row, begin : begin + n].tolist() == list(range(n))
            # The truth of tick t is that of frame t - 1.
            assert np.array_equal(joints[row, begin + 1 : begin + n], clip.joints[: n - 1])
            assert bool((labels[row, begin : begin + n] == clip.label).all())


def test_rows_go_on_from_their_cursors():
    dataset = figures(3, 5, ragged=True)
    whole = VideoRows(dataset, rows=2, ticks=4)
    for _ in range(3):
        next(whole)
    again = VideoRows(dataset, rows=2, ticks=4, cursors=whole.cursors)
    for _ in range(3):
        a, b = next(whole), next(again)
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_shares_of_two_processes_are_the_rows_of_one():
    dataset = figures(4, 5, ragged=True)
    one = next(VideoRows(dataset, rows=4, ticks=6))
    parts = [next(VideoRows(dataset, rows=2, ticks=6, first_row=2 * r)) for r in range(2)]
    assert torch.equal(one["frames"], torch.cat([p["frames"] for p in parts]))
