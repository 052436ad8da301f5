"""A small data set kept whole on the training device, where its clips are also cut and changed.

For networks so small that reading and changing pictures on the host would take longer than training
on them. Clip number k of a run shows the same video, window and random changes as the one of
`pvnet.data.loader` (same seeds). Only the interpolation differs: bilinear, from pictures kept a
little larger than the clips.
"""

from __future__ import annotations

import hashlib
import itertools
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pvnet import __version__
from pvnet.data.batches.augment import Augment, Change
from pvnet.data.batches.loader import ClipOrder, clip_state, loader
from pvnet.data.clips import Dataset
from pvnet.data.files.cache import default_folder
from pvnet.data.files.locks import lock
from pvnet.data.sampling import Sampling
from pvnet.errors import InvalidArgumentError
from pvnet.files import whole_file
from pvnet.video.joints import FLIP


@dataclass(frozen=True)
class Shown:
    """What a batch shows.

    Attributes:
        rows: int64 [b, t] of the frames kept.
        changes: of each clip.
        labels: of each clip, after mirroring.
    """

    rows: NDArray[np.int64]
    changes: list[Change]
    labels: list[int]


@dataclass(frozen=True)
class Resident:
    """All videos of a data set, one after the other; with copies, all of them again and again.

    Attributes:
        frames: uint8 [n, h, w, 3].
        joints: float32 [n, 13, 2] pixel x, y of `frames`; 0 where unknown.
        visible: bool [n, 13].
        offset: int64 [videos + 1] rows of each video, on the host.
        label: int64 [videos], -1 where unknown, on the host.
        fps: frames per second of each video, on the host.
        mirror_labels: of the data set.
    """

    frames: Tensor
    joints: Tensor
    visible: Tensor
    offset: NDArray[np.int64]
    label: NDArray[np.int64]
    fps: NDArray[np.float64]
    mirror_labels: tuple[int, ...] = ()
    _flip: Tensor = field(default_factory=lambda: torch.tensor(list(FLIP)))

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.label)

    def rows(self, index: int, sampling: Sampling, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of `frames` [t] that a clip of video `index` shows."""
        begin, end = int(self.offset[index]), int(self.offset[index + 1])
        rate = float(self.fps[index])
        own = np.arange(end - begin) / rate
        times = sampling.times(own, rate, rng)
        rows = np.searchsorted(own, times + 0.25 / rate, side="right") - 1
        return begin + np.clip(rows, 0, end - begin - 1)

    def choose(
        self,
        indices: Sequence[int],
        states: Sequence[np.random.Generator],
        sampling: Sampling,
        augment: Augment | None,
    ) -> Shown:
        """What a batch shows, worked out on the host.

        Args:
            indices: of the videos, b.
            states: random state of each clip.
            sampling: which window; its length t is set.
            augment: random changes, or None.
        """
        rows = np.stack([self.rows(i, sampling, rng) for i, rng in zip(indices, states)])
        strengths = augment if augment is not None else Augment.parse("none")
        changes = [strengths.draw(rng) for rng in states]
        return Shown(rows, changes, [self._label(i, c) for i, c in zip(indices, changes)])

    def batch(
        self, shown: Shown, size: tuple[int, int], mean: Tensor, std: Tensor
    ) -> dict[str, Tensor]:
        """Clips of videos, as `pvnet.data.loader` gives them but on the device of `frames`.

        Args:
            shown: what they show.
            size: (h, w) of the clips.
            mean: [3] of frames scaled to 0..1.
            std: [3].
        """
        device, changes = self.frames.device, shown.changes
        row = torch.from_numpy(shown.rows).to(device)
        stored = (int(self.frames.shape[1]), int(self.frames.shape[2]))
        maps = np.stack([c.matrix(size) for c in changes])
        # Clip pixels (edge coordinates) -> stored pixels.
        scale = np.array([stored[1] / size[1], stored[0] / size[0]])
        to_stored = maps * scale[None, :, None]
        frames = self._show(row, to_stored, stored, size, changes, mean, std)
        joints, visible = self._points(row, maps, stored, size, changes)
        return {
            "frames": frames,
            "joints": joints,
            "visible": visible,
            "label": torch.tensor(shown.labels, dtype=torch.int64).to(device),
        }

    def _label(self, index: int, change: Change) -> int:
        label = int(self.label[index])
        if change.mirrored and self.mirror_labels and label >= 0:
            return int(self.mirror_labels[label])
        return label

    def _show(
        self,
        row: Tensor,
        maps: NDArray[np.float64],
        stored: tuple[int, int],
        size: tuple[int, int],
        changes: Sequence[Change],
        mean: Tensor,
        std: Tensor,
    ) -> Tensor:
        b, t = row.shape
        device = self.frames.device
        images = self.frames[row.flatten()].permute(0, 3, 1, 2).float()
        # affine_grid speaks of -1..1 between the outer edges, as align_corners=False has it.
        out_to_px = np.array([[size[1] / 2, 0, size[1] / 2], [0, size[0] / 2, size[0] / 2]])
        lin, shift = maps[:, :, :2], maps[:, :, 2]
        theta = lin @ out_to_px[None, :, :]
        theta[:, :, 2] += shift
        theta = theta / np.array([stored[1] / 2, stored[0] / 2])[None, :, None]
        theta[:, :, 2] -= 1.0
        one = torch.from_numpy(theta.astype(np.float32)).to(device)
        grid = F.affine_grid(one, [b, 3, *size], align_corners=False)
        grid = grid[:, None].expand(b, t, *size, 2).reshape(b * t, *size, 2)
        y = F.grid_sample(
            images, grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        colour = torch.from_numpy(np.stack([c.colour for c in changes]).astype(np.float32))
        offset = torch.from_numpy(np.array([c.offset for c in changes], np.float32))
        y = y.view(b, t, 3, *size)
        y = torch.einsum("bkc,btchw->bkthw", colour.to(device), y)
        y = (y + offset.to(device).view(b, 1, 1, 1, 1)).clamp_(0, 255)
        shape = (1, 3, 1, 1, 1)
        return (y / 255 - mean.to(device).view(shape)) / std.to(device).view(shape)

    def _points(
        self,
        row: Tensor,
        maps: NDArray[np.float64],
        stored: tuple[int, int],
        size: tuple[int, int],
        changes: Sequence[Change],
    ) -> tuple[Tensor, Tensor]:
        device = self.frames.device
        inverse = []
        for m in maps:
            lin = np.linalg.inv(m[:, :2])
            inverse.append(np.concatenate([lin, -lin @ m[:, 2:]], axis=1))
        back = torch.from_numpy(np.stack(inverse).astype(np.float32)).to(device)
        joints, visible = self.joints[row], self.visible[row]
        scale = torch.tensor([size[1] / stored[1], size[0] / stored[0]], device=device)
        joints = (joints + 0.5) * scale
        joints = torch.einsum("bkc,btjc->btjk", back[:, :, :2], joints) + back[:, None, None, :, 2]
        joints = joints - 0.5
        mirrored = torch.tensor([c.mirrored for c in changes], device=device)
        flip = self._flip.to(device)
        joints = torch.where(mirrored[:, None, None, None], joints[:, :, flip], joints)
        visible = torch.where(mirrored[:, None, None], visible[:, :, flip], visible)
        limits = torch.tensor([size[1] - 0.5, size[0] - 0.5], device=device)
        visible = visible & ((joints >= -0.5) & (joints < limits)).all(dim=-1)
        return joints, visible


def load_resident(
    dataset: Dataset,
    device: torch.device,
    *,
    copies: int = 1,
    workers: int = 0,
    cache: Path | None = None,
) -> Resident:
    """Every video of a data set, on a device.

    Args:
        dataset: opened with crop "none".
        device: where its frames go.
        copies: how often every video is asked for, each time with other random choices (a window,
            a collage), as in so many epochs of `loader`.
        workers: processes that read or render.
        cache: folder in which rendered videos and collages are kept; None: the usual one.

    Raises:
        InvalidArgumentError: a data set of cropped pictures.
    """
    facts = dataset.describe()
    if facts.get("crop", "none") != "none":
        raise InvalidArgumentError(
            f"[data.resident] clips are cut from whole pictures: got crop {facts['crop']!r}, "
            "expected 'none'. Set data.crop=none, or data.resident=false."
        )
    made = "seed" in facts or "collage" in facts
    arrays = _keep(dataset, copies, workers, cache) if made else _read(dataset, copies, workers)
    return Resident(
        torch.from_numpy(arrays["frames"]).to(device),
        torch.from_numpy(arrays["joints"]).to(device),
        torch.from_numpy(arrays["visible"]).to(device),
        arrays["offset"],
        arrays["label"],
        arrays["fps"],
        tuple(dataset.mirror_labels),
    )


def _keep(
    dataset: Dataset, copies: int, workers: int, cache: Path | None
) -> dict[str, NDArray[Any]]:
    """What takes long to make, made once and then read from the cache."""
    folder = default_folder() if cache is None else cache
    folder.mkdir(parents=True, exist_ok=True)
    # The whole data set, motion tracks and backgrounds included, not only what it tells of itself.
    key = hashlib.sha256(pickle.dumps((__version__, dataset, copies))).hexdigest()[:24]
    place = folder / f"rendered-{key}.npz"
    with lock(place.with_suffix(".lock")):
        if not place.exists():
            arrays = _read(dataset, copies, workers)
            with whole_file(place, where="data.resident") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            return arrays
    with np.load(place) as kept:
        return {name: kept[name] for name in kept.files}


def _read(dataset: Dataset, copies: int, workers: int) -> dict[str, NDArray[Any]]:
    # Copies: tensors of reading processes are open files as long as something refers to them.
    names = ("joints", "visible", "label", "fps")
    parts: dict[str, list[NDArray[Any]]] = {"frames": [], **{name: [] for name in names}}
    for batch in loader(
        dataset, batch=1, workers=workers, shuffle=False, raw=True, batches=copies * len(dataset)
    ):
        parts["frames"].append(_pictures(batch["frames"][0].numpy()))
        for name in ("joints", "visible"):
            parts[name].append(batch[name][0].numpy().copy())
        parts["label"].append(batch["label"].numpy().copy())
        parts["fps"].append(batch["fps"].numpy().copy())
    counts = [len(f) for f in parts["frames"]]
    return {
        **{name: np.concatenate(values) for name, values in parts.items()},
        "offset": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    }


def _pictures(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [t, h, w, 3] of [3, t, h, w]; plane by plane takes a sixth of the time of `permute`."""
    out = np.empty((*planes.shape[1:], len(planes)), np.uint8)
    for c, plane in enumerate(planes):
        out[..., c] = plane
    return out


def resident_batches(
    resident: Resident,
    sampling: Sampling,
    *,
    batch: int,
    size: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    start_batch: int = 0,
    augment: Augment | None = None,
) -> Iterator[dict[str, Tensor]]:
    """Endless batches; the arguments are those of `pvnet.data.loader`."""
    order = ClipOrder(len(resident), seed)
    scale = (torch.tensor(list(mean)), torch.tensor(list(std)))

    def choose(number: int) -> Shown:
        first = (number * world + rank) * batch
        clips = [order(first + k) for k in range(batch)]
        states = [clip_state(seed, epoch, index) for epoch, index in clips]
        return resident.choose([index for _, index in clips], states, sampling, augment)

    # The next batch is worked out while the device is busy with this one.
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(choose, start_batch)
        for number in itertools.count(start_batch + 1):
            chosen, coming = coming.result(), ahead.submit(choose, number)
            yield resident.batch(chosen, size, *scale)
