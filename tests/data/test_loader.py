from __future__ import annotations

import os
import signal
from itertools import islice

import numpy as np
import pytest
import torch
from data_helpers import refused

from pvnet import data
from pvnet.data.clips import Clip
from pvnet.errors import FileError, InvalidArgumentError, StateError


class Numbers:
    """Clip k is filled with its index; its random draw is in the joints."""

    name, classes, mirror_labels = "numbers", ("a", "b"), ()

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def get(self, index, rng):
        frames = np.full((2, 8, 8, 3), index, np.uint8)
        joints = np.full((2, 13, 2), rng.random(), np.float32)
        bare = index % 2 == 1
        problems = ("oh",) if index == 3 else ()
        return Clip(
            frames, None if bare else joints, None if bare else np.ones((2, 13), bool),
            index % 2, f"clip{index}", 25.0, problems,
        )  # fmt: skip

    def describe(self):
        return {}


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        if isinstance(a[key], torch.Tensor):
            assert torch.equal(a[key], b[key]), key
        else:
            assert a[key] == b[key], key


def joined(parts):
    return {
        k: torch.cat([p[k] for p in parts])
        if isinstance(parts[0][k], torch.Tensor)
        else [item for p in parts for item in p[k]]
        for k in parts[0]
    }


def take(n, dataset=None, **kwargs):
    made = data.loader(dataset or Numbers(10), **{"batch": 4, "seed": 3, **kwargs})
    return list(islice(made, n))


def test_shapes_types_and_normalisation():
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    (b,) = take(1, mean=mean, std=std)
    assert b["frames"].shape == (4, 3, 2, 8, 8)
    assert b["frames"].dtype == torch.float32
    assert b["joints"].shape == (4, 2, 13, 2)
    assert b["visible"].shape == (4, 2, 13)
    assert b["visible"].dtype == torch.bool
    assert b["label"].dtype == torch.int64
    for row, index in enumerate(b["index"].tolist()):
        for c in range(3):
            want = (index / 255 - mean[c]) / std[c]
            assert b["frames"][row, c].unique().item() == pytest.approx(want, abs=1e-6)
        assert b["clip_id"][row] == f"clip{index}"
        assert b["visible"][row].any().item() == (index % 2 == 0)
    (raw,) = take(1, raw=True)
    assert raw["frames"].dtype == torch.uint8
    assert raw["frames"][:, 0, 0, 0, 0].tolist() == raw["index"].tolist()


def test_every_epoch_has_every_clip_once_in_another_order():
    indices = torch.cat([b["index"] for b in take(15)]).tolist()
    epochs = [indices[10 * k : 10 * k + 10] for k in range(6)]
    assert all(sorted(e) == list(range(10)) for e in epochs)
    assert len({tuple(e) for e in epochs}) == 6
    draws = [b["joints"][b["index"] == 2] for b in take(15)]
    values = torch.cat([d.flatten()[:1] for d in draws if len(d)])
    assert len(values.unique()) == len(values)  # a new draw in every epoch
    plain = torch.cat([b["index"] for b in take(5, shuffle=False)]).tolist()
    assert plain == [*range(10), *range(10)]


def test_resumed_from_any_batch_it_is_the_same():
    whole = take(8)
    for start in (1, 3, 7):
        for a, b in zip(whole[start:], take(8 - start, start_batch=start)):
            same(a, b)
    assert (take(1, seed=4)[0]["index"] != whole[0]["index"]).any()


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_are_one_process(world):
    whole = take(6)
    shares = [take(6, batch=4 // world, rank=r, world=world) for r in range(world)]
    for n in range(6):
        same(whole[n], joined([s[n] for s in shares]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_workers_change_nothing():
    d = data.open_dataset("figures?n=5", size=(32, 24), frames=3)
    here = take(3, d, batch=2, augment=True, start_batch=1)
    there = take(3, d, batch=2, augment=True, start_batch=1, workers=2)
    for a, b in zip(here, there):
        same(a, b)


def test_problems_and_the_end():
    made = list(data.loader(Numbers(8), batch=4, batches=2))
    assert len(made) == 2
    assert [p for b in made for p in b["problems"]] == ["oh"]


def test_mirroring_changes_the_label_of_a_direction():
    d = data.open_dataset("figures?n=2", size=(32, 24), frames=2)
    flip = data.Augment.parse("zoom=0,shift=0,stretch=0,flip=1")
    (b,) = take(1, d, batch=2, augment=flip)
    assert sorted(b["label"].tolist()) == [0, 1]
    assert (b["label"] == 1 - b["index"]).all()  # walk_left is 0, walk_right is 1
    (plain,) = take(1, d, batch=2, augment=False)
    assert (plain["label"] == plain["index"]).all()


def test_a_data_set_without_torch():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from pvnet import data;"
        "d = data.open_dataset('figures?n=3', size=(32, 24), frames=2);"
        "d.get(0, np.random.default_rng(0)); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_numbers_out_of_range_are_refused():
    for wrong in (
        {"batch": 0}, {"rank": 1}, {"world": 0}, {"start_batch": -1}, {"workers": -1},
        {"std": (1, 0, 1)}, {"mean": (0, 0)},
    ):  # fmt: skip
        refused(InvalidArgumentError, data.loader, Numbers(4), **{"batch": 2, **wrong})

    class Ragged(Numbers):
        def get(self, index, rng):
            return Clip(np.zeros((1 + index, 8, 8, 3), np.uint8), None, None, 0, "x", 25.0)

    refused(InvalidArgumentError, next, data.loader(Ragged(4), batch=2))


class Faulty(Numbers):
    """Reading clip 2 fails, or ends the process."""

    def __init__(self, n, fault):
        super().__init__(n)
        self.fault, self.home = fault, os.getpid()

    def get(self, index, rng):
        if index == 2 and os.getpid() != self.home:
            self.fault()
        return super().get(index, rng)


def no_such_file():
    raise FileError("[data] a: got b, expected c. Do d.")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_errors_of_workers_are_those_of_one_process():
    with pytest.raises(FileError) as caught:
        take(3, Faulty(4, no_such_file), batch=2, workers=1)
    assert str(caught.value) == "[data] a: got b, expected c. Do d."


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_worker_that_was_killed_is_said_so():
    message = refused(StateError, take, 3, Faulty(4, killed), batch=2, workers=1)
    assert "data.workers" in message
