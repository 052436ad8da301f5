"""Clips of a live source: a thread reads, the trainer draws from what came last."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pvnet import video
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.train.config import Config
from pvnet.train.distributed import share
from pvnet.train.source import Source

_HELD_OUT_CLIPS = 4
_MAX_BYTES = 2**29  # of the frames that are kept
_WAIT_S = 0.05


class LiveClips:
    """The newest frames of a source; the first ones are held out.

    Which clips are drawn depends on when frames come: such a run is not repeated bit for bit.

    Args:
        source: opened with the size of the network's input; whoever opened it closes it.
        config: of the run.
        shape: (c, h, w) of the network's input.

    Raises:
        InvalidArgumentError: pictures of another size.
    """

    def __init__(self, source: video.Source, config: Config, shape: tuple[int, int, int]) -> None:
        c, h, w = shape
        got = (source.info.height, source.info.width)
        if c != 3 or got != (h, w):
            raise InvalidArgumentError(
                f"[fit] the source does not fit the network: got pictures of {got[0]}x{got[1]} "
                f"with 3 channels, expected {h}x{w} with {c}. Open it with size=({h}, {w})."
            )
        self._source, self._config = source, config
        self._keep = max(4 * config.data.frames, _MAX_BYTES // (h * w * c))
        # Runs of frames without a gap, the newest last.
        self._runs: list[list[Tensor]] = [[]]
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._ended = False
        self._thread: threading.Thread | None = None

    def source(self) -> Source:
        """Batches and held-out clips; reading begins with the first of either."""
        frames = self._config.data.frames
        held_out: list[Tensor] = []

        def looks() -> Iterator[dict[str, Tensor]]:
            while len(held_out) < _HELD_OUT_CLIPS:
                held_out.append(self._take_first(frames))
            yield from ({"frames": clip[None]} for clip in held_out)

        def batches(start: int, rank: int, world: int) -> Iterator[dict[str, Tensor]]:
            rows = share(self._config.run.batch, world)
            rng = np.random.default_rng([self._config.run.seed, rank, start])
            while True:
                yield {"frames": torch.stack([self._draw(frames, rng) for _ in range(rows)])}

        about = {"name": f"live: {self._source.name}"}
        wanted = self._config.run.validate_every > 0
        return Source(batches, None, about=about, held_out=looks if wanted else None)

    def _take_first(self, frames: int) -> Tensor:
        """The oldest clip; its frames are never drawn."""
        while True:
            with self._lock:
                self._runs = [r for r in self._runs[:-1] if len(r) >= frames] + self._runs[-1:]
                if len(self._runs[0]) >= frames:
                    taken, self._runs[0] = self._runs[0][:frames], self._runs[0][frames:]
                    return torch.stack(taken, dim=1)
            self._await()

    def _draw(self, frames: int, rng: np.random.Generator) -> Tensor:
        while True:
            with self._lock:
                windows = np.array([max(0, len(r) - frames + 1) for r in self._runs])
                if windows.sum():
                    k = int(rng.integers(windows.sum()))
                    which = int(np.searchsorted(np.cumsum(windows), k, side="right"))
                    begin = k - int(windows[:which].sum())
                    return torch.stack(self._runs[which][begin : begin + frames], dim=1)
            self._await()

    def _await(self) -> None:
        """Until the reader has had time for more.

        Raises:
            FileError: there will be no more.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, daemon=True, name="pvnet live clips")
            self._thread.start()
        if self._ended:
            frames = self._config.data.frames
            raise FileError(
                f"[fit] the source ended too early: got {self._error or 'its end'}, expected at "
                f"least {(_HELD_OUT_CLIPS + 1) * frames} frames. Use a longer one, or fewer "
                "data.frames."
            ) from self._error
        self._thread.join(_WAIT_S)

    def _read(self) -> None:
        try:
            for frame in self._source:
                picture = torch.from_numpy(frame.image.copy()).permute(2, 0, 1)
                with self._lock:
                    if frame.gap is not None:
                        self._runs.append([])
                    self._runs[-1].append(picture)
                    self._forget()
        except BaseException as error:  # told where somebody waits for frames
            self._error = error
        finally:
            self._ended = True

    def _forget(self) -> None:
        """The oldest frames, beyond what is kept."""
        while sum(len(r) for r in self._runs) > self._keep:
            del self._runs[0][0]
            if not self._runs[0] and len(self._runs) > 1:
                del self._runs[0]
