"""The experiments: which networks are trained, and which rows of which figure they fill.

A training is named by its settings, so figures that share one train it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

FIGURES = ("stages", "techniques", "clocks", "latency")
# Semi-parallel and fully parallel.
STAGES = {"joints": (7, 14), "actions": (5, 10)}
SCORE = {"joints": "pck@0.2_box", "actions": "top1"}
# A student goes on from its teacher: it needs fewer steps.
STUDENT_SHARE = 0.4


@dataclass(frozen=True)
class Training:
    """One run of the trainer.

    Attributes:
        stages: number of stages it is cut into.
        wiring: timing it is trained in.
        options: of the model, beside those of the configuration file.
        distilled: activation matching with its teacher.
        latency: prediction latency P in ticks.
    """

    stages: int = 1
    wiring: str = "sequential"
    options: tuple[tuple[str, Any], ...] = ()
    distilled: bool = False
    latency: int = 0

    @property
    def name(self) -> str:
        """Of its folder; says all of it."""
        parts = [self.wiring, f"k{self.stages}"]
        parts += [f"{key}-{value}" for key, value in self.options]
        parts += ["distilled"] if self.distilled else []
        parts += [f"p{self.latency}"] if self.latency else []
        return "_".join(parts)

    @property
    def teacher(self) -> Training | None:
        """The sequential network it starts from; None for a sequential one.

        Skips begin at stages, so a network with skips has a teacher with the same stages; without
        skips the cut changes no weight and all students share one teacher.
        """
        if self.wiring == "sequential":
            return None
        stages = self.stages if dict(self.options).get("skips", "none") != "none" else 1
        return replace(self, wiring="sequential", stages=stages, distilled=False, latency=0)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        label: what people read.
        training: whose weights are scored.
        wiring: timing in which they are scored.
        stages: number of stages in which they are scored.
        skipping: frame skipping at the rate that equal work per lane allows.
        latency: prediction latency P it is scored with.
    """

    label: str
    training: Training
    wiring: str
    stages: int
    skipping: bool = False
    latency: int = 0

    @property
    def name(self) -> str:
        """Of its record."""
        parts = [self.training.name, "as", self.wiring, f"k{self.stages}"]
        parts += ["skipping"] if self.skipping else []
        return "_".join([*parts, f"p{self.latency}"])


def trained(label: str, training: Training) -> Row:
    """A network scored as it was trained."""
    return Row(label, training, training.wiring, training.stages, latency=training.latency)


def rows(figure: str, task: str) -> Iterator[Row]:
    """The rows of a figure."""
    semi, full = STAGES[task]
    teacher = Training()
    yield trained("sequential", teacher)
    if figure == "stages":
        for k in (semi, full):
            yield Row("frame skipping", teacher, "sequential", k, skipping=True)
            yield Row("pipelined, scored with its delay", teacher, "pipelined", k)
            yield Row("parallel at test time only", teacher, "predictive", k)
            yield trained("predictive, trained", Training(k, "predictive"))
    elif figure == "techniques":
        skips = (("skips", "head"),)
        for k in (semi, full):
            yield Row("parallel at test time only", teacher, "predictive", k)
            yield trained("predictive, trained", Training(k, "predictive"))
            yield trained("+ distillation", Training(k, "predictive", distilled=True))
            yield trained("sequential with skips", Training(k, "sequential", skips))
            yield trained("+ skips", Training(k, "predictive", skips))
            yield trained("+ skips, distillation", Training(k, "predictive", skips, distilled=True))
            if task == "joints":
                feedback = (("feedback", 1),)
                yield trained("+ feedback", Training(k, "predictive", feedback))
    elif figure == "clocks":
        for clocks in ("i3d", "halving"):
            yield trained(f"sequential, {clocks}", Training(options=(("clocks", clocks),)))
        for clocks in ("single", "i3d", "halving"):
            options = () if clocks == "single" else (("clocks", clocks),)
            for k in (semi, full):
                yield trained(f"predictive, {clocks}", Training(k, "predictive", options))
    else:
        for k in (semi, full):
            for p in (0, 2):
                label = f"predictive, trained and scored with P = {p}"
                yield trained(label, Training(k, "predictive", latency=p))
