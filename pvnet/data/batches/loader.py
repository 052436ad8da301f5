"""Endless batches out of a data set: the same for every number of processes and workers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from pvnet.data.batches.augment import Augment
from pvnet.data.batches.worker_errors import plain_errors
from pvnet.data.clips import Clip, Dataset
from pvnet.errors import InvalidArgumentError

_ORDER, _CLIP = 0x0D, 0xC1  # what a random state is for, so that no two meet


class Batch(TypedDict):
    """A batch of this process.

    * `frames`: float32 [b, 3, t, h, w], or uint8 with raw=True.
    * `joints`: float32 [b, t, 13, 2], pixel x, y of the frames; 0 where unknown.
    * `visible`: bool [b, t, 13].
    * `label`: int64 [b], -1 where unknown.
    * `fps`: float64 [b], frames per second of the clips.
    * `index`: int64 [b] of the clips.
    * `clip_id`: names.
    * `problems`: lines about clips that could not be read and were replaced.
    """

    frames: torch.Tensor
    joints: torch.Tensor
    visible: torch.Tensor
    label: torch.Tensor
    fps: torch.Tensor
    index: torch.Tensor
    clip_id: list[str]
    problems: list[str]


def loader(
    dataset: Dataset,
    *,
    batch: int,
    seed: int = 0,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    start_batch: int = 0,
    augment: Augment | bool | str | None = None,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    shuffle: bool = True,
    batches: int | None = None,
    raw: bool = False,
) -> Iterator[Batch]:
    """Batches without end.

    Clip number k of the run (over all processes) is always the same. It depends neither on the
    number of workers or processes nor on where the run was resumed. Its index comes from (seed,
    epoch) and its random state from (seed, epoch, index). Batch n of process r has the clips
    n * batch * world + r * batch + (0 .. batch - 1).

    Args:
        dataset: of clips of one length and size.
        batch: clips per batch of this process; all processes must use the same.
        seed: of order and random choices.
        workers: processes that prepare batches; 0: this one does.
        rank: number of this process.
        world: number of processes.
        start_batch: number of the first batch; to resume, the one after the last one used.
        augment: random changes; True or "default" for the usual ones, None or False for none.
        mean: per channel of frames scaled to 0..1, as the network's input node has it.
        std: per channel.
        shuffle: a new order in every epoch; else the data set's order.
        batches: stop after so many; None: never.
        raw: uint8 frames instead of normalised float32 (a quarter of the bytes).

    Raises:
        InvalidArgumentError: for numbers out of range.
        StateError: while it is read, if a process that prepares batches has ended.
    """
    good = batch >= 1 and workers >= 0 and 0 <= rank < world and start_batch >= 0 and seed >= 0
    if not good:
        given = (batch, workers, rank, world, start_batch, seed)
        raise InvalidArgumentError(
            f"[data.loader] batch, workers, rank, world, start_batch, seed: got {given}, expected "
            "batch of at least 1, rank below world, and nothing negative. Change the one out of "
            "range."
        )
    scale = np.asarray(std, np.float32)
    if np.shape(mean) != (3,) or scale.shape != (3,) or not (scale > 0).all():
        raise InvalidArgumentError(
            f"[data.loader] mean and std: got {mean!r} and {std!r}, expected three numbers each, "
            "std above 0. Pass those of the network's input."
        )
    made = _Batches(
        dataset,
        batch=batch,
        seed=seed,
        rank=rank,
        world=world,
        augment=_augment(augment),
        mean=np.asarray(mean, np.float32),
        std=scale,
        shuffle=shuffle,
        raw=raw,
    )
    numbers = _Numbers(start_batch, None if batches is None else start_batch + batches)
    if workers == 0:
        return (made[n] for n in numbers)
    return _from_workers(
        DataLoader(made, batch_size=None, sampler=numbers, num_workers=workers, prefetch_factor=2)
    )


def _from_workers(made: DataLoader[Batch]) -> Iterator[Batch]:
    with plain_errors():
        yield from made


def _augment(given: Augment | bool | str | None) -> Augment | None:
    if isinstance(given, str):
        return Augment.parse(given)
    if isinstance(given, bool):
        return Augment() if given else None
    return given


class ClipOrder:
    """`order(number)` is (epoch, index) of clip `number` of a run over `n` clips."""

    def __init__(self, n: int, seed: int, *, shuffle: bool = True) -> None:
        self._n, self._seed, self._shuffle = n, seed, shuffle
        self._order: tuple[int, Any] | None = None  # of the epoch asked for last

    def __call__(self, number: int) -> tuple[int, int]:
        """(epoch, index) of clip `number`."""
        epoch, position = divmod(number, self._n)
        if not self._shuffle:
            return epoch, position
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([_ORDER, self._seed, epoch]).permutation(self._n)
            self._order = (epoch, order)
        return epoch, int(self._order[1][position])


def clip_state(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Where the random choices of a clip come from."""
    return np.random.default_rng([_CLIP, seed, epoch, index])


class _Numbers:
    """Batch numbers from `first`, without end or up to `end`."""

    def __init__(self, first: int, end: int | None) -> None:
        self._first, self._end = first, end

    def __iter__(self) -> Iterator[int]:
        if self._end is None:
            return itertools.count(self._first)
        return iter(range(self._first, self._end))


class _Batches(TorchDataset[Batch]):
    """Batch n of one process, computed from n alone."""

    def __init__(self, dataset: Dataset, **settings: Any) -> None:
        self._dataset = dataset
        self._batch: int = settings["batch"]
        self._seed: int = settings["seed"]
        self._rank: int = settings["rank"]
        self._world: int = settings["world"]
        self._augment: Augment | None = settings["augment"]
        self._mean, self._std = settings["mean"], settings["std"]
        self._raw: bool = settings["raw"]
        self._order = ClipOrder(len(dataset), self._seed, shuffle=settings["shuffle"])

    def __getitem__(self, number: int) -> Batch:
        first = (number * self._world + self._rank) * self._batch
        chosen = [self._order(first + k) for k in range(self._batch)]
        clips = [self._clip(epoch, index) for epoch, index in chosen]
        shapes = {c.frames.shape for c in clips}
        if len(shapes) > 1:
            raise InvalidArgumentError(
                f"[data.loader] clips of one batch: got shapes {sorted(shapes)}, expected one. "
                "Open the data set with a number of frames, or use batch=1."
            )
        return {
            "frames": self._tensor(clips),
            "joints": torch.from_numpy(np.stack([_joints(c) for c in clips])),
            "visible": torch.from_numpy(np.stack([_visible(c) for c in clips])),
            "label": torch.tensor([c.label for c in clips], dtype=torch.int64),
            "fps": torch.tensor([c.fps for c in clips], dtype=torch.float64),
            "index": torch.tensor([index for _, index in chosen], dtype=torch.int64),
            "clip_id": [c.clip_id for c in clips],
            "problems": [p for c in clips for p in c.problems],
        }

    def _clip(self, epoch: int, index: int) -> Clip:
        rng = clip_state(self._seed, epoch, index)
        clip = self._dataset.get(index, rng)
        if self._augment is None:
            return clip
        return self._augment(clip, rng, mirror_labels=self._dataset.mirror_labels)

    def _tensor(self, clips: Sequence[Clip]) -> torch.Tensor:
        t, h, w, _ = clips[0].frames.shape
        if self._raw:
            small = np.empty((len(clips), 3, t, h, w), np.uint8)
            for row, clip in zip(small, clips):
                row[...] = clip.frames.transpose(3, 0, 1, 2)
            return torch.from_numpy(small)
        out = np.empty((len(clips), 3, t, h, w), np.float32)
        for plane, clip in zip(out, clips):
            plane[...] = clip.frames.transpose(3, 0, 1, 2)
        # (x / 255 - mean) / std, as the input node of a network does it.
        out /= np.float32(255)
        out -= self._mean[:, None, None, None]
        out /= self._std[:, None, None, None]
        return torch.from_numpy(out)


def _joints(clip: Clip) -> np.ndarray[Any, Any]:
    if clip.joints is None:
        return np.zeros((len(clip.frames), 13, 2), np.float32)
    return np.ascontiguousarray(clip.joints, np.float32)


def _visible(clip: Clip) -> np.ndarray[Any, Any]:
    if clip.visible is None:
        return np.zeros((len(clip.frames), 13), np.bool_)
    return np.ascontiguousarray(clip.visible)
