"""Engines that are asked where the ball is: pvnet in four ways, its peers, and a fake one.

An engine is a list of workers, a function `answer(frame)` each, which gives an answer and how many
ticks late it is. Several workers take frames in turns (round-robin).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import stream_peers
from numpy.typing import NDArray

import pvnet
from pvnet import catch, models
from pvnet.viz import decode_heatmaps

Frame = NDArray[np.uint8]
# The ball's pixel x, y; and the ticks ago of the newest frame that it is made of.
Worker = Callable[[Frame], tuple[NDArray[np.float32], int]]


def _ball(heatmaps: Any) -> NDArray[np.float32]:
    return decode_heatmaps(np.asarray(heatmaps), (catch.HEIGHT, catch.WIDTH))[0][0]


def _network(wiring: Any, lanes: int, count: int = 1) -> list[Worker]:
    plan = pvnet.compile(catch.network(wiring), lanes=lanes)
    heard = plan.graph.outputs[0].information_latency_ticks

    def worker() -> Worker:
        stream = plan.stream()

        def answer(frame: Frame) -> tuple[NDArray[np.float32], int]:
            return _ball(stream.tick(frame[None])["heatmaps"][0]), heard

        return answer

    return [worker() for _ in range(count)]


def _torch(lanes: int) -> list[Worker]:
    import torch
    from torch_eager import EagerStream

    torch.set_num_threads(lanes)
    teacher = catch.network("sequential")
    eager = EagerStream(teacher.graph, teacher.weights)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (models.MEAN, models.STD))

    def answer(frame: Frame) -> tuple[NDArray[np.float32], int]:
        x = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
        return _ball(eager.tick((x - mean) / std)["heatmaps"][0]), 0

    return [answer]


def _peer(name: str, lanes: int) -> list[Worker]:
    heatmaps = stream_peers.heatmaps(name, lanes)
    return [lambda frame: (_ball(heatmaps(frame)), 0)]


def _fake(delay_ms: float) -> list[Worker]:
    """Finds the ball by its colour, exactly, after a known time: the control."""

    def answer(frame: Frame) -> tuple[NDArray[np.float32], int]:
        begin = time.perf_counter()
        orange = (frame[..., 0] > 200) & (frame[..., 2] < 80)
        rows, columns = np.nonzero(orange)
        place = np.array([columns.mean(), rows.mean()], np.float32) if len(rows) else np.zeros(2)
        time.sleep(max(0.0, delay_ms / 1e3 - (time.perf_counter() - begin)))
        return np.asarray(place, np.float32), 0

    return [answer]


def make(name: str, lanes: int) -> list[Worker]:
    """The workers of an engine; `fake:MS` is exact after MS milliseconds.

    Raises:
        SystemExit: unknown name.
        ImportError: the peer is not installed.
    """
    if name.startswith("fake:"):
        return _fake(float(name.removeprefix("fake:")))
    made: dict[str, Callable[[], list[Worker]]] = {
        "frame by frame": lambda: _network("sequential", lanes),
        "round-robin": lambda: _network("sequential", 1, lanes),
        "pipelined": lambda: _network("pipelined", lanes),
        "predictive": lambda: _network("predictive", lanes),
        "torch": lambda: _torch(lanes),
        **{peer: lambda peer=peer: _peer(peer, lanes) for peer in stream_peers.FROM_FILES},
    }
    if name not in made:
        raise SystemExit(f"--engines: got {name!r}, expected some of {', '.join(made)}, fake:MS")
    return made[name]()


ENGINES = (
    "frame by frame",
    "round-robin",
    "pipelined",
    "predictive",
    *stream_peers.FROM_FILES,
    "torch",
)
