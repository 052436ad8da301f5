"""One network of the demo: its stream, what it answered, how well and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.cli._common.cut import cut_of
from pvnet.cli._common.network_choice import Choice
from pvnet.cli._common.stats import RunStats
from pvnet.graph import Graph
from pvnet.video.frame import Frame
from pvnet.video.synthetic import SyntheticFrame

PCK_SHARE = 0.2


@dataclass
class DemoRun:
    """A compiled network and what it answered so far.

    Attributes:
        title: of its row in the table.
        plan: the compiled network.
        joints: per tick float32 [13, 2], pixel x and y.
        scores: per tick float32 [13] in 0..1.
        raw: per tick the first output, flat float32.
    """

    title: str
    plan: runtime.Plan
    joints: list[NDArray[np.float32]] = field(default_factory=list)
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    raw: list[NDArray[np.float32]] = field(default_factory=list)
    stats: RunStats = field(default_factory=RunStats)

    def __post_init__(self) -> None:
        self._stream = self.plan.stream()
        self._output = next(iter(self.plan.outputs))

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.plan.graph.stages)

    @property
    def warm_up_ticks(self) -> int:
        """Ticks until the output is valid."""
        return self.plan.warm_up_ticks[self._output]

    def tick(self, frame: Frame) -> None:
        """One tick; the answer is kept."""
        tick = self._stream.tick(frame.image)
        self.stats.add(tick)
        read = self.plan.meaning
        kept = read.kept(tick)
        joints = read.joints(kept)
        self.joints.append(joints[:, :2])
        self.scores.append(joints[:, 2])
        self.raw.append(read.first(kept).ravel())

    def row(self, frames: Sequence[SyntheticFrame], score_from: int) -> dict[str, Any]:
        """The row of the table; scored from tick `score_from` on."""
        return {
            "title": self.title,
            "backend": self.plan.backend,
            "lanes": self.plan.lanes,
            **self.stats.summary(self.plan.graph),
            "pck_0_2": pck(self.joints[score_from:], frames[score_from:]),
        }


def make_runs(teacher: Choice, student: Choice, *, lanes: int, backend: str) -> list[DemoRun]:
    """Sequential on one lane and on all, pipelined with the same weights, predictive.

    All are cut alike where both files hold the same nodes.
    """
    own, other = ({n.name for n in choice.graph.nodes} for choice in (teacher, student))
    stages = student.graph.stage_lists
    if own != other:
        stages = cut_of(teacher.model, "pipelined", len(stages), "preset").graph.stage_lists
    flat = teacher.graph.wire("sequential", stages=stages)
    shifted = teacher.graph.wire("pipelined", stages=stages)

    def compiled(choice: Choice, graph: Graph, n: int) -> runtime.Plan:
        model = runtime.Model(graph, choice.weights, choice.metadata)
        return runtime.compile(model, lanes=n, backend=backend)

    runs = [DemoRun("sequential", compiled(teacher, flat, lanes))]
    if lanes > 1:
        runs.insert(0, DemoRun("sequential, 1 lane", compiled(teacher, flat, 1)))
    runs.append(DemoRun("pipelined", compiled(teacher, shifted, lanes)))
    runs.append(DemoRun("predictive", compiled(student, student.graph, lanes)))
    return runs


def shifted_difference(sequential: DemoRun, pipelined: DemoRun) -> tuple[float, float]:
    """Largest |pipelined(t) - sequential(t - (K-1))|, and the largest value of either."""
    shift = pipelined.stages - 1
    pairs = list(zip(pipelined.raw[shift:], sequential.raw))
    if not pairs:
        return 0.0, 0.0
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    return difference, max(float(np.abs(b).max()) for _, b in pairs)


def pck(joints: Sequence[NDArray[np.float32]], frames: Sequence[SyntheticFrame]) -> float | None:
    """Share of visible joints found within 0.2 of the larger side of the figure's joints."""
    hits = total = 0
    for found, frame in zip(joints, frames):
        reach = PCK_SHARE * float(np.ptp(frame.joints, axis=0).max())
        distance = np.linalg.norm(found - frame.joints, axis=1)
        hits += int((distance < reach)[frame.visible].sum())
        total += int(frame.visible.sum())
    return hits / total if total else None
