"""Truncated back-propagation: long or endless videos in pieces, with the state carried along.

Batch rows are videos. Where one ends the next begins in that row, which forgets everything; the
other rows do not notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from pvnet.errors import StateError
from pvnet.models import MEAN, STD
from pvnet.nn import Network
from pvnet.nn.network_state import NetworkState
from pvnet.train.losses import shift_truth

if TYPE_CHECKING:
    from pvnet.data.clips import Dataset


class Carried(nn.Module):
    """A network that goes on where it stopped: `carried(frames, ages)`.

    Args:
        net: in its training wiring.
    """

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net
        self.state: NetworkState | None = None

    def forward(self, frames: Tensor, ages: Tensor) -> dict[str, Tensor]:
        """One piece; gradients end where it begins.

        Args:
            frames: [b, c, t, h, w].
            ages: int64 [b, t], index of each frame in its row's video; a row begins at 0.

        Returns:
            Outputs as of `Network.forward`.

        Raises:
            StateError: a video begins between two multiples of the hyper-period.
        """
        state = self.state or self.net.init_state(int(frames.shape[0]))
        state = state.detach()
        collected: dict[str, list[Tensor]] = {}
        hyper = self.net.graph.hyper_period
        for t in range(int(frames.shape[2])):
            begins = ages[:, t] == 0
            if bool(begins.any()) and state.tick > 0:
                if state.tick % hyper:
                    raise StateError(
                        f"[train.Carried] a video begins out of step with the clocks: got tick "
                        f"{state.tick}, expected a multiple of the hyper-period {hyper}. Cut "
                        "videos to a multiple of it."
                    )
                state = state.reset_rows(begins)
            outputs, state = self.net.step(frames[:, :, t], state, ages=ages[:, t])
            for name, y in outputs.items():
                collected.setdefault(name, []).append(y)
        self.state = state
        return {name: torch.stack(ys, dim=2) for name, ys in collected.items()}

    def rings(self) -> dict[str, Tensor]:
        """The carried state as tensors, for a checkpoint."""
        if self.state is None:
            return {}
        tensors = {
            f"{name}.{i}": x for name, ring in self.state.rings.items() for i, x in enumerate(ring)
        }
        return {**tensors, "tick": torch.tensor(self.state.tick)}

    def restore_rings(self, tensors: dict[str, Tensor]) -> None:
        """Puts back what `rings` gave."""
        if "tick" not in tensors:
            self.state = None
            return
        found: dict[str, dict[int, Tensor]] = {}
        for key, value in tensors.items():
            if key != "tick":
                name, index = key.rsplit(".", 1)
                found.setdefault(name, {})[int(index)] = value
        nodes = [n.name for n in self.net.graph.nodes]
        rings = {n: tuple(v for _, v in sorted(found.get(n, {}).items())) for n in nodes}
        batch = next(v for v in found.values())[0].shape[0]
        self.state = NetworkState(batch=int(batch), tick=int(tensors["tick"]), rings=rings)


class VideoRows:
    """Endless batches of pieces: every row plays one video after another.

    Each piece is a dict as `pvnet.data.loader` gives it, the truth already that of frame t - P, and
    `ages` int64 [b, t]; it has `problems` only where a video could not be read. Row r of all rows
    of all processes has random numbers of its own.

    Args:
        dataset: of whole videos.
        rows: videos of this process.
        ticks: length of a piece, a multiple of `hyper_period`.
        hyper_period: of the network: videos are cut to a multiple of it.
        seed: of the order of videos.
        first_row: index of this process's first row.
        prediction_latency: P.
        cursors: what `cursors` was, to go on from there.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        rows: int,
        ticks: int,
        hyper_period: int = 1,
        seed: int = 0,
        first_row: int = 0,
        prediction_latency: int = 0,
        cursors: list[list[int]] | None = None,
    ) -> None:
        if ticks % hyper_period:
            raise StateError(
                f"[train.VideoRows] a piece must hold whole hyper-periods: got {ticks} ticks, "
                f"expected a multiple of {hyper_period}. Change run.carry."
            )
        self.dataset, self.ticks, self.hyper_period = dataset, ticks, hyper_period
        self.seed, self.first_row, self.latency = seed, first_row, prediction_latency
        # Per row: how many videos it has begun before this one, and the next frame of this one.
        self.cursors = [list(c) for c in cursors] if cursors else [[0, 0] for _ in range(rows)]
        self._problems: list[str] = []  # of videos that could not be read, until they are told
        self._videos: list[dict[str, np.ndarray[Any, Any]] | None] = [None] * rows

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return self

    def __next__(self) -> dict[str, Tensor]:
        rows = [self._row(r) for r in range(len(self.cursors))]
        batch = {k: torch.from_numpy(np.stack([row[k] for row in rows])) for k in rows[0]}
        mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (MEAN, STD))
        batch["frames"] = (batch["frames"].permute(0, 4, 1, 2, 3).float() / 255 - mean) / std
        if self._problems:
            batch["problems"], self._problems = cast("Any", self._problems), []
        return batch

    def _row(self, r: int) -> dict[str, np.ndarray[Any, Any]]:
        parts: list[dict[str, np.ndarray[Any, Any]]] = []
        missing = self.ticks
        while missing:
            video = self._video(r)
            begin = self.cursors[r][1]
            part = {k: v[begin : begin + missing] for k, v in video.items()}
            parts.append(part)
            got = len(part["ages"])
            missing -= got
            self.cursors[r][1] += got
            if self.cursors[r][1] == len(video["ages"]):
                self.cursors[r] = [self.cursors[r][0] + 1, 0]
                self._videos[r] = None
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    def _video(self, r: int) -> dict[str, np.ndarray[Any, Any]]:
        kept = self._videos[r]
        if kept is None:
            rng = np.random.default_rng([self.seed, self.first_row + r, self.cursors[r][0]])
            kept = self._draw(rng)
            self._videos[r] = kept
        return kept

    def _draw(self, rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
        for _ in range(100):
            clip = self.dataset.get(int(rng.integers(len(self.dataset))), rng)
            self._problems += clip.problems
            n = len(clip.frames) // self.hyper_period * self.hyper_period
            if n:
                break
        else:
            raise StateError(
                f"[train.VideoRows] no video is long enough: got 100 shorter ones, expected at "
                f"least {self.hyper_period} frames, one hyper-period. Use longer videos."
            )
        video: dict[str, np.ndarray[Any, Any]] = {
            "frames": clip.frames[:n],
            "label": np.full(n, clip.label, np.int64),
            "ages": np.arange(n, dtype=np.int64),
        }
        if clip.joints is not None and clip.visible is not None:
            video |= {"joints": clip.joints[:n], "visible": clip.visible[:n]}
            for key in ("joints", "visible"):
                truth = torch.from_numpy(np.ascontiguousarray(video[key]))[None]
                video[key] = shift_truth(truth, self.latency)[0].numpy()
        return video
