"""What is out at the end of every tick, and which ticks count. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.graph import Graph


@dataclass(frozen=True)
class Protocol:
    """How an evaluation scores.

    Attributes:
        prediction_latency: P.
        first_tick: ticks before this one do not count; at least the warm-up. Set it to the largest
            warm-up of the networks that are compared: then all are scored on the same ticks.
        every: 1, or S of the frame-subsampling baseline: the network takes every S-th frame.
        late: ticks after which a result of a taken frame is there; S - 1 where it computes until
            the next one is taken.
    """

    prediction_latency: int = 0
    first_tick: int = 0
    every: int = 1
    late: int = 0


def frame_subsampling(graph: Graph) -> Protocol:
    """Frame subsampling at the rate that equal work per lane allows the sequential network.

    A tick of the depth-parallel `graph` lasts as long as its slowest stage. A sequential network
    on one such lane is done after S = ceil(work of all stages / work of the slowest) ticks. So it
    takes a frame every S ticks and gives the result at the end of the S-th.
    """
    costs = [stage.cost for stage in graph.stages]
    every = math.ceil(sum(costs) / max(costs) - 1e-9)
    return Protocol(every=every, late=every - 1)


def find_emitted_tick(tick: int, protocol: Protocol) -> int:
    """Index of the taken frame whose result is out at the end of `tick`; negative: none yet."""
    return (tick - protocol.late) // protocol.every


def first_scored(protocol: Protocol, warm_up: int) -> int:
    """The first tick that counts."""
    filled = warm_up * protocol.every + protocol.late
    return max(filled, protocol.prediction_latency, protocol.first_tick)


def take_emissions(
    values: NDArray[np.float32], ticks: int, protocol: Protocol
) -> NDArray[np.float32]:
    """What is out at the end of every tick, [t, ...], of the results of taken frames."""
    index = [max(0, find_emitted_tick(t, protocol)) for t in range(ticks)]
    return values[index]
