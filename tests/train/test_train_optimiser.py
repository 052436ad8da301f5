"""Learning rates, averaged weights and gradients, against the same thing done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_runs import figures, losses, small, source_of
from torch import nn

import pvnet
from pvnet.train import checkpoint
from pvnet.train.config_sections import OptimiserConfig, ScheduleConfig
from pvnet.train.distributed import Group
from pvnet.train.loop import _one_step, train
from pvnet.train.losses import action_loss, scored_ticks
from pvnet.train.optimiser import Ema, make_optimiser, rate_factor
from pvnet.train.run_state import Run
from pvnet.train.source import Source


def test_the_rate_rises_and_falls_as_the_schedule_says():
    cosine = ScheduleConfig(name="cosine", warm_up_steps=4, floor=0.1)
    got = [rate_factor(cosine, step, 100) for step in (0, 1, 3, 50, 99)]
    half = [0.5 + 0.5 * math.cos(math.pi * s / 100) for s in (0, 1, 3, 50)]
    assert got == pytest.approx([0.25 * half[0], 0.5 * half[1], half[2], half[3], 0.1])
    step = ScheduleConfig(name="step", warm_up_steps=0, milestones=(0.5, 0.8), factor=0.1)
    got = [rate_factor(step, s, 10) for s in (0, 4, 5, 7, 8, 9)]
    assert got == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    constant = ScheduleConfig(name="constant", warm_up_steps=2)
    assert [rate_factor(constant, s, 10) for s in (0, 1, 9)] == [0.5, 1.0, 1.0]


def test_averaged_weights_are_the_running_mean_and_what_is_exported(tmp_path):
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(1.0)
    ema = Ema(net, 0.6)
    want = 1.0
    for step, value in enumerate((2.0, 5.0, -1.0, 3.0, 8.0, 0.0, 4.0)):
        with torch.no_grad():
            net.weight.fill_(value)
        ema.update(net, step)
        decay = min(0.6, (1 + step) / (10 + step))
        want = decay * want + (1 - decay) * value
        assert float(ema.values["weight"]) == pytest.approx(want, rel=1e-6)
    source = source_of(figures(4, 6), 2)
    plain = train(small(), tmp_path / "plain", source=source)
    averaged = train(small(run_ema=0.9), tmp_path / "averaged", source=source)
    assert losses(tmp_path / "plain") == losses(tmp_path / "averaged")  # it only looks on
    a, b = (pvnet.load(r["model"]).weights for r in (plain, averaged))
    assert any(not np.array_equal(a[k], b[k]) for k in a)


def test_a_checkpoint_that_calls_the_ema_average_is_gone_on_with(tmp_path):
    run = made(tmp_path, run_ema=0.9)
    assert run.ema is not None
    for value in run.ema.values.values():
        value.add_(1)  # else it would be what a new run begins with
    run.save(run.batches())
    tensors, document = checkpoint.load_state(run.state_path)
    old = {k.replace("ema.", "average.", 1): v for k, v in tensors.items()}
    assert old.keys() != tensors.keys()
    checkpoint.save_state(run.state_path, old, document)
    other = made(tmp_path, run_ema=0.9)
    other.resume()
    assert other.ema is not None
    assert all(torch.equal(other.ema.values[k], v) for k, v in run.ema.values.items())


def test_biases_and_norms_do_not_decay_and_sgd_may_go_without_momentum():
    net = nn.Sequential(nn.Conv3d(2, 3, 1), nn.BatchNorm3d(3))
    for name in ("adamw", "sgd"):
        config = OptimiserConfig(name=name, weight_decay=0.3, momentum=0.0)
        groups = make_optimiser(net, config).param_groups
        assert {(p.ndim > 1, g["weight_decay"]) for g in groups for p in g["params"]} == {
            (True, 0.3),
            (False, 0.0),
        }


def made(folder, **overrides) -> Run:
    config = small(run_norm="frozen", optimiser_name="sgd", optimiser_momentum=0.0, **overrides)
    source = source_of(figures(6, 6), config.run.batch)
    return Run(config, folder, source, Group(0, 1, torch.device("cpu")))


def test_a_clipped_gradient_moves_the_weights_by_its_limit(tmp_path):
    kept = {"optimiser_weight_decay": 0.0}
    moved = {}
    for limit in (0.0, 1e-3):
        run = made(tmp_path, optimiser_clip_norm=limit, **kept)
        before = [p.detach().clone() for p in run.net.parameters()]
        told = _one_step(run, run.batches(), 1.0)
        steps = [(p.detach() - q).flatten() for p, q in zip(run.net.parameters(), before)]
        moved[limit] = torch.cat(steps)
        # Told is the norm before it was clipped; the rate is 1, so the step is the gradient.
        want = min(told["gradient_norm"], limit or math.inf)
        assert float(moved[limit].norm()) == pytest.approx(want, rel=1e-3)
    unlimited, limited = moved.values()
    assert float(unlimited.norm()) > 1e-2
    assert torch.allclose(limited, unlimited * (1e-3 / unlimited.norm()), atol=1e-6)


def test_accumulated_batches_are_one_large_batch(tmp_path):
    """Their clips together; norms are frozen, for their statistics are those of a batch."""
    clips = figures(8, 6)
    results = {}
    for parts in (1, 4):
        config = small(
            run_norm="frozen", run_batch=8 // parts, optimiser_accumulate=parts, run_steps=1
        )

        def batches(start, rank, world, parts=parts):
            whole = next(source_of(clips, 8).batches(0, 0, 1))
            size = 8 // parts
            for k in range(parts):
                yield {key: x[k * size : (k + 1) * size] for key, x in whole.items()}

        folder = tmp_path / str(parts)
        train(config, folder, source=Source(batches, None))
        results[parts] = (losses(folder), pvnet.load(folder / "model.safetensors").weights)
    (one, a), (four, b) = results.values()
    assert four == pytest.approx(one, rel=1e-5)
    for key, value in a.items():
        assert np.allclose(b[key], value, atol=2e-4), key


def test_the_memory_layout_changes_no_result(tmp_path):
    found = []
    for layout in (True, False):
        run = made(tmp_path, run_channels_last=layout)
        kernel = next(p for p in run.net.parameters() if p.dim() == 5 and p.shape[1] > 1)
        assert kernel.is_contiguous(memory_format=torch.channels_last_3d) == layout
        found.append(_one_step(run, run.batches(), 0.1)["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_smoothed_labels_share_a_part_among_all_classes():
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([1, 3])
    scored = scored_ticks(3, warm_up=0, prediction_latency=0)
    found = action_loss(logits, labels, scored, smoothing=0.2)
    target = torch.full((2, 4), 0.05)
    target[[0, 1], labels] += 0.8
    want = -(target[:, :, None] * logits.log_softmax(1)).sum(1).mean()
    assert float(found) == pytest.approx(float(want), rel=1e-6)
