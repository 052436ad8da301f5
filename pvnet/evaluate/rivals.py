"""The rivals of a predictive network: what else the same lanes can say about the same frames.

A frame comes every `frame_ms`. At the end of that time everybody is asked. Exact rivals then have
the answer for an older frame; the predictive network has its guess for the newest. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.evaluate.emission import Protocol, find_emitted_tick
from pvnet.graph import Graph

# Times that differ by less than the noise of a measurement count as equal.
TIE = 0.05
# Who says it: "exact", "predictive", or a further network that is compared.
Says = str


@dataclass(frozen=True)
class TickTimes:
    """Medians of the length of a tick, in ms.

    Attributes:
        lanes: of all but `one_lane_ms`.
        one_lane_ms: sequential on one lane.
        sequential_ms: on all lanes, which share every level.
        pipelined_ms: the same in K stages.
        predictive_ms: the same in K stages.
        simulated: put together from times per operation, for lanes that are not here.
    """

    lanes: int
    one_lane_ms: float
    sequential_ms: float
    pipelined_ms: float
    predictive_ms: float
    simulated: bool = False


@dataclass(frozen=True)
class Rival:
    """One way to use the lanes.

    Attributes:
        name: "frame by frame", "frame skipping", "pipelined", "round-robin" or "predictive".
        says: "exact" for exact answers, else which network they are of.
        protocol: which frames it takes, and how many ticks late its answers are.
        delay_ms: from the arrival of a frame to its answer.
    """

    name: str
    says: Says
    protocol: Protocol
    delay_ms: float


def state_reasons(graph: Graph) -> list[str]:
    """Nodes because of which frames cannot be given to replicas: they remember earlier ones."""
    reasons = []
    for node in graph.nodes:
        attrs = node.attrs
        if node.op in ("delay", "feedback"):
            reasons.append(f"{node.name}: {node.op}")
        elif int(attrs.get("kernel", (1,))[0]) > 1 or int(attrs.get("window", 1)) > 1:
            reasons.append(f"{node.name}: reads earlier firings")
        elif node.clock.period > 1:
            reasons.append(f"{node.name}: not due at every tick")
    return reasons


def list_rivals(times: TickTimes, *, frame_ms: float, stages: int, has_state: bool) -> list[Rival]:
    """All ways to use the lanes, for frames that come every `frame_ms`.

    Args:
        times: of the ticks.
        frame_ms: between two frames.
        stages: K of the pipelined and the predictive network.
        has_state: whether the network remembers: then replicas cannot share its frames.
    """

    def ticks(ms: float) -> int:
        return max(1, math.ceil(ms / frame_ms - TIE))

    every = ticks(times.sequential_ms)
    name = "frame by frame" if every == 1 else "frame skipping"
    found = [Rival(name, "exact", Protocol(every=every, late=every - 1), times.sequential_ms)]
    every = ticks(times.pipelined_ms)
    period_ms = max(frame_ms, times.pipelined_ms)
    delay_ms = (stages - 1) * period_ms + times.pipelined_ms
    late = stages * every - 1
    found.append(Rival("pipelined", "exact", Protocol(every=every, late=late), delay_ms))
    if not has_state and times.lanes > 1:
        every = ticks(times.one_lane_ms / times.lanes)
        late = ticks(times.one_lane_ms) - 1
        protocol = Protocol(every=every, late=late)
        found.append(Rival("round-robin", "exact", protocol, times.one_lane_ms))
    every = ticks(times.predictive_ms)
    protocol = Protocol(every=every, late=every - 1)
    found.append(Rival("predictive", "predictive", protocol, times.predictive_ms))
    return found


def asked(values: NDArray[np.float32], ticks: int, protocol: Protocol) -> NDArray[np.float32]:
    """What is out at the end of every tick, [t, ...]; before the first answer the first one.

    Args:
        values: answers for every `protocol.every`-th frame, in order.
        ticks: frames that came.
        protocol: which frames are taken, and how late.
    """
    last = len(values) - 1
    index = [min(last, max(0, find_emitted_tick(t, protocol))) for t in range(ticks)]
    return values[index]


def first_asked(rivals: Sequence[Rival], warm_up: Mapping[Says, int]) -> int:
    """The first tick at which everybody has an answer that counts."""
    return max(r.protocol.late + r.protocol.every * warm_up[r.says] for r in rivals)


@dataclass
class Agreement:
    """How near answers come to the exact ones for the newest frame, summed over videos.

    `add` takes one video after another; `scores` tells what they are together.
    """

    squares: float = 0.0
    ticks: int = 0
    cosines: float = 0.0
    tops: float = 0.0

    def add(self, answers: NDArray[np.float32], exact: NDArray[np.float32]) -> None:
        """Answers and exact ones, float32 [t, c] or [t, c, h, w]."""
        a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (answers, exact))
        self.ticks += len(a)
        self.squares += float(np.square(a - b).sum())
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        self.cosines += float(((a * b).sum(axis=1) / np.maximum(norms, 1e-30)).sum())
        self.tops += float(_tops(answers, exact).sum())

    def scores(self, variation: float) -> dict[str, float]:
        """Relative error, cosine, and the share of equal tops.

        Args:
            variation: sum of the squared differences between the exact answers and their mean
                over all ticks. An error of 1 is that of always giving this mean.
        """
        count = max(1, self.ticks)
        return {
            "error": math.sqrt(self.squares / max(variation, 1e-30)),
            "cosine": self.cosines / count,
            "same_top": self.tops / count,
        }


def _tops(answers: NDArray[np.float32], exact: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share [t] of equal tops: the largest channel of a vector, the peak of every channel of a map.

    A peak counts as equal one cell away, too.
    """
    maps = exact.ndim == 4 and exact.shape[2] * exact.shape[3] > 1
    if not maps:
        flat = [x.reshape(len(x), -1).argmax(axis=1) for x in (answers, exact)]
        return np.asarray(flat[0] == flat[1], np.float64)
    width = exact.shape[3]
    peaks = [x.reshape(*x.shape[:2], -1).argmax(axis=2) for x in (answers, exact)]
    down = np.abs(peaks[0] // width - peaks[1] // width) <= 1
    across = np.abs(peaks[0] % width - peaks[1] % width) <= 1
    return np.asarray((down & across).mean(axis=1), np.float64)


def variation_of(exact: Sequence[NDArray[np.float32]]) -> float:
    """Sum of squared differences from the mean over all ticks of all videos, [t, ...] each."""
    count = sum(len(x) for x in exact)
    mean = sum(x.sum(axis=0, dtype=np.float64) for x in exact) / max(1, count)
    return float(sum(np.square(x - mean).sum() for x in exact))


Run = Callable[[Says, int], Sequence[NDArray[np.float32]]]


def compare(
    rivals: Sequence[Rival], run: Run, warm_up: Mapping[Says, int]
) -> list[dict[str, float]]:
    """The agreement of every rival, all on the same ticks.

    Args:
        rivals: that are asked.
        run: (who says it, n) -> answers for every n-th frame, one array [t, ...] a video.
        warm_up: ticks until an answer counts, by who says it.

    Returns:
        For every rival "error", "cosine", "same_top", and "ticks": how many were compared. No
        video that is long enough gives 0 ticks.
    """
    exact = list(run("exact", 1))
    first = first_asked(rivals, warm_up)
    variation = variation_of([x[first:] for x in exact])
    rows = []
    for rival in rivals:
        agreement = Agreement()
        for answers, wanted in zip(run(rival.says, rival.protocol.every), exact):
            out = asked(answers, len(wanted), rival.protocol)
            agreement.add(out[first:], wanted[first:])
        rows.append({**agreement.scores(variation), "ticks": agreement.ticks})
    return rows
