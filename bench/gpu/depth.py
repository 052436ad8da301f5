"""Tick time against depth: equal layers, every layer a stage, from 10 to 1,000 of them.

Beside each, the same layers in one stage. Pipelined must be sequential K - 1 ticks later, bit for
bit, in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import pvnet
from gpu import networks
from gpu.networks import Net, Target
from gpu.record import Record, program
from gpu.timing import alternate, ticker
from pvnet.models.random_weights import random_weights

DEPTHS, DRY_DEPTHS = (10, 30, 100, 300, 1000), (3, 6)
# (channels, side): 64 channels at 16 x 16 are 4 tiles of 64 x 64, 9.4 MMAC a layer.
LAYERS, DRY_LAYERS = ((64, 16), (128, 28)), ((16, 8),)
SECOND_DEPTHS = (10, 100)  # of the larger layers
TICKS, ROUNDS = 50, 3
MORE_TICKS = 3


def equal_layers(depth: int, channels: int, side: int) -> pvnet.Graph:
    """A chain of 3 x 3 convolutions of one size."""
    graph = pvnet.Graph()
    x = graph.input("frame", channels=channels, height=side, width=side)
    for index in range(depth):
        x = graph.conv3d(x, channels, kernel=(1, 3, 3), act="relu", name=f"layer{index}")
    graph.output(x, name="last")
    return graph


def pair(depth: int, channels: int, side: int) -> tuple[Net, Net]:
    """Sequential and every layer a stage, of the same weights."""
    graph = equal_layers(depth, channels, side)
    weights = random_weights(graph, seed=0)
    layers = graph.wire("pipelined", stages="layers")
    return Net("sequential", graph, weights), Net("layers", layers, weights)


def play(plan, frames: np.ndarray, ticks: int) -> Iterator[np.ndarray]:
    stream = plan.stream()
    for t in range(ticks):
        yield np.array(stream.tick(frames[t % len(frames)])["last"])


def measure(record: Record, where: Target, depth: int, channels: int, side: int) -> None:
    nets = pair(depth, channels, side)
    plans = [net.compile(where, where.dtypes[0]) for net in nets]
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((networks.FRAMES, channels, side, side)).astype(np.float32)
    shift = nets[1].shift
    want = list(play(plans[0], frames, MORE_TICKS))
    got = list(play(plans[1], frames, shift + MORE_TICKS))[shift:]
    same = all(np.array_equal(a, b) for a, b in zip(got, want)) and bool(np.abs(want[-1]).max() > 0)
    tickers = [ticker(plan, frames, real=where.real) for plan in plans]
    ticks, rounds = (TICKS, ROUNDS) if where.real else (1, 1)
    for way in tickers:
        way.us(ticks)
    ways = {net.label: lambda t=t: t.us(ticks) for net, t in zip(nets, tickers)}
    times = alternate(ways, rounds)
    record.add(
        depth=depth, channels=channels, side=side, mmac=nets[0].gmac * 1e3,
        sequential_us=times["sequential"]["us"], layers_us=times["layers"]["us"],
        speed_up=times["sequential"]["us"] / times["layers"]["us"],
        way=tickers[1].way, later_ticks=shift, same_bits=same, right=same,
    )  # fmt: skip


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    record.note(f"{networks.describe(where)}; {where.dtypes[0]}")
    for index, (channels, side) in enumerate(DRY_LAYERS if dry else LAYERS):
        for depth in DRY_DEPTHS if dry else SECOND_DEPTHS if index else DEPTHS:
            measure(record, where, depth, channels, side)


if __name__ == "__main__":
    program("depth", body)
