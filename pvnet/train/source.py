"""Where the batches of a run come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from pvnet.models import MEAN, STD
from pvnet.train.config import Config
from pvnet.train.distributed import share
from pvnet.train.network import frame_size, task_of
from pvnet.video.joints import JOINTS

if TYPE_CHECKING:
    from pvnet.data.clips import Dataset

Batches = Callable[[int, int, int], Iterator[dict[str, Tensor]]]


@dataclass(frozen=True)
class Source:
    """Data of a run.

    Attributes:
        batches: (first batch, rank, world) -> endless batches of this process: dict of frames
            float32 [b, 3, t, h, w], joints [b, t, j, 2], visible [b, t, j], label [b]. The same
            arguments give the same batches, and the shares of all ranks together the whole batch.
        videos: the data set of whole videos, for carried state.
        classes: names of the actions.
    """

    batches: Batches
    videos: Callable[[], Dataset]
    classes: Sequence[str] = ()

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

    def videos() -> Dataset:
        return data.open_dataset(config.data.train, frames=None, **common)

    return Source(batches, videos, tuple(dataset.classes))
