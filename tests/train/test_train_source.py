"""The batches that `config.data` names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_runs import SIZE, losses, small

from pvnet.errors import InvalidArgumentError
from pvnet.models import MEAN, STD
from pvnet.train.loop import train
from pvnet.train.source import data_source

CONFIG = small(data_train="figures?n=6", data_frames=3, data_augment="none", run_batch=4)


def test_the_shares_of_two_processes_are_the_batch_of_one():
    source = data_source(CONFIG)
    one = next(source.batches(0, 0, 1))
    parts = [next(source.batches(0, rank, 2)) for rank in (0, 1)]
    assert one["frames"].shape == (4, 3, 3, *SIZE)
    for key in ("frames", "joints", "visible", "label"):
        assert torch.equal(one[key], torch.cat([p[key] for p in parts])), key
    with pytest.raises(InvalidArgumentError):
        next(source.batches(0, 0, 3))


def test_a_run_goes_on_with_the_batch_after_the_last():
    source = data_source(CONFIG)
    whole = source.batches(0, 0, 1)
    next(whole)
    assert torch.equal(next(whole)["frames"], next(source.batches(1, 0, 1))["frames"])


def test_frames_are_normalised_as_the_network_does_it_with_pictures():
    frames = next(data_source(CONFIG).batches(0, 0, 1))["frames"]
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (MEAN, STD))
    pictures = (frames * std + mean) * 255
    assert torch.allclose(pictures, pictures.round(), atol=1e-3)
    assert float(pictures.min()) > -1e-3
    assert float(pictures.max()) < 255.001
    assert float(pictures.std()) > 5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_on_real_batches_goes_on_bit_for_bit_whatever_its_workers(tmp_path):
    def config(workers: int):
        return small(data_train="figures?n=6", data_frames=3, run_batch=2, data_workers=workers)

    def stop(step: int, said: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    train(config(0), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):  # after the checkpoint of step 2
        train(config(1), tmp_path / "parts", on_step=stop)
    train(config(1), tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_a_resident_run_has_every_video_as_often_as_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PVNET_CACHE", str(tmp_path))
    resident = {"data_resident": True, "data_video_frames": 4, "data_copies": 3}
    config = small(data_train="figures?n=2", data_frames=3, run_batch=6, **resident)
    batches = data_source(config).batches(0, 0, 1)
    assert next(batches)["frames"].shape == (6, 3, 3, *SIZE)
    kept = next(tmp_path.glob("rendered-*.npz"))
    with np.load(kept) as arrays:
        assert len(arrays["frames"]) == 3 * 2 * 4


def test_only_a_resident_set_of_equal_lengths_has_copies():
    for other in ({}, {"data_resident": True}, {"data_video_frames": 4}):
        with pytest.raises(InvalidArgumentError, match=r"got data.copies = 3, .*expected data.res"):
            small(data_copies=3, **other)
