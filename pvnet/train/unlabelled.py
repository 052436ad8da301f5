"""Batches without labels: of a folder of videos, a live source, or tensors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pvnet import video
from pvnet.data.footage import Footage, read_footage
from pvnet.errors import InvalidArgumentError
from pvnet.train.config import Config
from pvnet.train.distributed import share
from pvnet.train.live_clips import LiveClips
from pvnet.train.source import Source

Path_ = str | os.PathLike[str]
Videos = Path_ | Sequence[Path_] | Tensor | Sequence[Tensor] | Footage | video.Source | Source
_HELD_OUT = 0.2  # of the videos, where none are given
_LOOKED_AT = 16  # held-out clips of one look
_CLIP = 0xC2


def make_source(
    videos: Videos, held_out: Videos | None, config: Config, shape: tuple[int, int, int]
) -> Source:
    """Clips of `config.data.frames` frames, chosen by the seed alone, and held-out ones.

    Args:
        videos: as `fit` takes them.
        held_out: the same; None: a fifth of the videos, or the last fifth of each.
        config: of the run.
        shape: (c, h, w) of the network's input.

    Raises:
        InvalidArgumentError: videos of another kind or shape, or too short for a clip.
    """
    if isinstance(videos, Source):
        return videos
    if isinstance(videos, video.Source):
        return LiveClips(videos, config, shape).source()
    pieces = _pieces(videos, config, shape)
    if held_out is None:
        pieces, kept = _split(pieces) if config.run.validate_every else (pieces, [])
    else:
        kept = _pieces(held_out, config, shape)
    frames = config.data.frames
    looks = _looks(kept, frames) if kept else None
    about = {"name": "unlabelled videos", "pieces": len(pieces), "frames": _count(pieces)}
    if isinstance(videos, Footage):
        about = videos.describe()
    _long_enough(pieces, frames)

    def batches(start: int, rank: int, world: int) -> Iterator[dict[str, Tensor]]:
        rows = share(config.run.batch, world)
        number = start
        while True:
            rng = np.random.default_rng([_CLIP, config.run.seed, number])
            clips = [_draw(pieces, frames, rng) for _ in range(rows * world)]
            yield {"frames": torch.stack(clips[rank * rows : (rank + 1) * rows])}
            number += 1

    return Source(batches, None, about=about, held_out=looks)


def _pieces(videos: object, config: Config, shape: tuple[int, int, int]) -> list[Tensor]:
    """Videos as [c, t, h, w], uint8 or float."""
    c, h, w = shape
    if isinstance(videos, str | os.PathLike) or _all(videos, (str, os.PathLike)):
        _three_channels(c)
        fps = config.data.fps or None
        videos = read_footage(videos, (h, w), fps=fps, least=config.data.frames)  # type: ignore[arg-type]
    if isinstance(videos, Footage):
        _three_channels(c)
        return [torch.from_numpy(p).permute(3, 0, 1, 2) for p in videos.pieces]
    given = [videos] if isinstance(videos, Tensor) else videos
    if not _all(given, (Tensor,)):
        raise InvalidArgumentError(
            f"[fit] videos: got {type(videos).__name__}, expected a path, several, a tensor "
            f"[b, {c}, t, {h}, {w}], a pvnet.video source, or a pvnet.train.source.Source. Pass "
            "one of them."
        )
    pieces: list[Tensor] = []
    for tensor in given:  # type: ignore[attr-defined]
        right = tensor.dim() == 5 and (tensor.shape[1], *tensor.shape[3:]) == shape
        if not right or not (tensor.dtype == torch.uint8 or tensor.is_floating_point()):
            raise InvalidArgumentError(
                f"[fit] videos: got a tensor {list(tensor.shape)} of {tensor.dtype}, expected "
                f"[b, {c}, t, {h}, {w}], uint8 or float. Permute or resize it."
            )
        pieces += list(tensor)
    return pieces


def _all(values: object, kinds: tuple[type, ...]) -> bool:
    several = isinstance(values, list | tuple) and len(values) > 0
    return several and all(isinstance(v, kinds) for v in values)  # type: ignore[attr-defined]


def _three_channels(channels: int) -> None:
    if channels != 3:
        raise InvalidArgumentError(
            f"[fit] videos have three channels: got a network of {channels}, expected 3. Pass "
            "tensors."
        )


def _split(pieces: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """As `Footage.split`, of tensors."""
    count = max(1, round(_HELD_OUT * len(pieces)))
    if len(pieces) >= 5:
        return pieces[:-count], pieces[-count:]
    ends = [max(1, round((1 - _HELD_OUT) * p.shape[1])) for p in pieces]
    first = [p[:, :end] for p, end in zip(pieces, ends)]
    return first, [p[:, end:] for p, end in zip(pieces, ends)]


def _count(pieces: Sequence[Tensor]) -> int:
    return sum(int(p.shape[1]) for p in pieces)


def _long_enough(pieces: Sequence[Tensor], frames: int) -> None:
    longest = max((int(p.shape[1]) for p in pieces), default=0)
    if longest < frames:
        raise InvalidArgumentError(
            f"[fit] no video is long enough: got {longest} frames at most, expected {frames} as "
            "data.frames says. Use longer videos, or a smaller data.frames."
        )


def _draw(pieces: Sequence[Tensor], frames: int, rng: np.random.Generator) -> Tensor:
    """A window [c, frames, h, w], each one as likely as any other."""
    windows = np.array([max(0, int(p.shape[1]) - frames + 1) for p in pieces])
    k = int(rng.integers(windows.sum()))
    which = int(np.searchsorted(np.cumsum(windows), k, side="right"))
    begin = k - int(windows[:which].sum())
    return pieces[which][:, begin : begin + frames]


def _looks(pieces: Sequence[Tensor], frames: int) -> Callable[[], Iterator[dict[str, Tensor]]]:
    """Clips that lie evenly over the held-out pieces, a shorter piece as it is."""
    least = min(frames, max(int(p.shape[1]) for p in pieces))
    places: list[tuple[int, int]] = []
    for number, piece in enumerate(pieces):
        room = int(piece.shape[1]) - least
        if room >= 0:
            count = max(1, min(_LOOKED_AT // len(pieces), room // least + 1))
            places += [(number, round(room * k / max(1, count - 1))) for k in range(count)]

    def batches() -> Iterator[dict[str, Tensor]]:
        for number, begin in places[:: max(1, len(places) // _LOOKED_AT)]:
            yield {"frames": pieces[number][:, begin : begin + least][None]}

    return batches
