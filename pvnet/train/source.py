"""Where the batches of a run come from."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from pvnet.models import MEAN, STD
from pvnet.train.build import frame_size, task_of
from pvnet.train.config import Config
from pvnet.train.distributed import choose_device, share
from pvnet.video.joints import JOINTS

if TYPE_CHECKING:
    from pvnet.data.batches.resident import Resident
    from pvnet.data.clips import Dataset

# Held-out clips of one look, about.
_LOOKED_AT = 64
Batches = Callable[[int, int, int], Iterator[dict[str, Tensor]]]
_Made = tuple[Batches, tuple[str, ...], Mapping[str, Any]]


@dataclass(frozen=True)
class Source:
    """Data of a run.

    Attributes:
        batches: (first batch, rank, world) -> endless batches of this process: dict of frames
            float32 [b, 3, t, h, w], joints [b, t, j, 2], visible [b, t, j], label [b]. The same
            arguments give the same batches, and the shares of all ranks together the whole batch.
        videos: the data set of whole videos, for carried state; None: `batches` gives pieces of
            carried videos itself, as a live stream does. Beside them are `ages` int64 [b, t]: the
            index of each frame in the video of its row, 0 where that row begins anew. The truth is
            then that of frame t - P already.
        classes: names of the actions.
        about: what the data set tells of itself (`describe()`, `class_names`), for the run's
            folder.
        held_out: the batches of a look at held-out clips, the same every time; None: there are no
            such clips.
    """

    batches: Batches
    videos: Callable[[], Dataset] | None
    classes: Sequence[str] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    held_out: Callable[[], Iterable[Mapping[str, Tensor]]] | None = None

    def labels(self, task: str) -> Sequence[str]:
        """What the outputs mean."""
        return JOINTS if task == "joints" else self.classes


def data_source(config: Config) -> Source:
    """The source that `config.data` names, through `pvnet.data`."""
    from pvnet import data

    size = frame_size(config.model.options)
    common: dict[str, Any] = {
        "split": config.data.split,
        "train": True,
        "size": size,
        "task": task_of(config),
        "crop": config.data.crop,
        "fps": config.data.fps or None,
    }
    make = _open_resident if config.data.resident else _open_loader
    made, classes, about = make(config, common)

    def videos() -> Dataset:
        return data.open_dataset(config.data.train, frames=None, **common)

    return Source(made, videos, classes, about, _held_out(config, common))


def _held_out(
    config: Config, common: dict[str, Any]
) -> Callable[[], Iterator[dict[str, Tensor]]] | None:
    """Clips from the middle of the held-out videos, at most `_LOOKED_AT` of them, evenly chosen."""
    if not (config.data.held_out and config.run.validate_every):
        return None
    from pvnet import data

    settings = {**common, "train": False, "frames": config.data.frames, "sampling": "center"}
    dataset = data.open_dataset(config.data.held_out, **settings)
    every = max(1, len(dataset) // _LOOKED_AT)

    def batches() -> Iterator[dict[str, Tensor]]:
        made = data.loader(dataset, batch=1, mean=MEAN, std=STD, shuffle=False)
        chosen = itertools.islice(made, 0, len(dataset), every)
        return cast("Iterator[dict[str, Tensor]]", chosen)

    return batches


def _open_loader(config: Config, common: dict[str, Any]) -> _Made:
    """Batches that the host reads and changes, clip by clip."""
    from pvnet import data

    dataset = data.open_dataset(config.data.train, frames=config.data.frames, **common)

    def batches(start: int, rank: int, world: int) -> Iterator[dict[str, Tensor]]:
        made = data.loader(
            dataset,
            batch=share(config.run.batch, world),
            seed=config.run.seed,
            workers=config.data.workers,
            rank=rank,
            world=world,
            start_batch=start,
            augment=config.data.augment,
            mean=MEAN,
            std=STD,
        )
        return cast("Iterator[dict[str, Tensor]]", iter(made))

    return batches, tuple(dataset.classes), _about(dataset)


def _about(dataset: Dataset) -> dict[str, Any]:
    """What it tells of itself, and the names of its classes in the order of their numbers."""
    return {**dataset.describe(), "class_names": list(dataset.classes)}


# Pictures are kept this much larger than the clips that are cut from them.
_MARGIN = 1.25


def _open_resident(config: Config, common: dict[str, Any]) -> _Made:
    """Batches from a data set that lies whole on the device of this process."""
    from pvnet import data
    from pvnet.data.batches.resident import resident_batches
    from pvnet.data.sampling import Sampling

    size = common["size"]
    device = choose_device(config.run.device, int(os.environ.get("LOCAL_RANK", "0")))
    keys = tuple((k, v) for k, v in common.items() if k not in ("size", "fps"))
    length, copies = config.data.video_frames or None, config.data.copies
    kept, classes, about = _load_once(
        config.data.train, length, copies, size, keys, device, config.data.workers
    )
    sampling = Sampling(config.data.frames, config.data.fps or None, "random")

    def batches(start: int, rank: int, world: int) -> Iterator[dict[str, Tensor]]:
        return resident_batches(
            kept,
            sampling,
            batch=share(config.run.batch, world),
            size=size,
            mean=MEAN,
            std=STD,
            seed=config.run.seed,
            rank=rank,
            world=world,
            start_batch=start,
            augment=data.Augment.parse(config.data.augment),
        )

    return batches, classes, about


@functools.lru_cache(maxsize=1)
def _load_once(
    spec: str,
    frames: int | None,
    copies: int,
    size: tuple[int, int],
    keys: tuple[tuple[str, Any], ...],
    device: torch.device,
    workers: int,
) -> tuple[Resident, tuple[str, ...], dict[str, Any]]:
    """Runs one after the other in a process, a teacher and its students, share the data."""
    from pvnet import data
    from pvnet.data.batches.resident import load_resident
    from pvnet.data.specs import parse_spec

    larger = (round(_MARGIN * size[0]), round(_MARGIN * size[1]))
    sampling = "start" if copies == 1 else "random"
    dataset = data.open_dataset(spec, frames=frames, size=larger, sampling=sampling, **dict(keys))
    cache = parse_spec(spec).path("cache")
    kept = load_resident(dataset, device, copies=copies, workers=workers, cache=cache)
    return kept, tuple(dataset.classes), _about(dataset)
