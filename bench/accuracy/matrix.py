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
# Shown beside it: the usual box of a person; single ticks, where being late shows.
BESIDE = {"joints": "pck@0.2_person", "actions": "tick_top1"}
# Compared row by row: where being late shows.
COMPARED = {"joints": "pck@0.2_box", "actions": "tick_top1"}
BASE = "predictive, trained"  # what the other rows of as many stages are compared with
SKIPS = (("skips", "head"),)
FEEDBACK = (*SKIPS, ("feedback", 1))
NEW = ("skips", "feedback")  # options that add kernels to the plain network
Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Training:
    """One run of the trainer.

    Attributes:
        stages: number of stages it is cut into.
        wiring: timing it is trained in.
        options: of the model, beside those of the configuration file.
        distilled: activation matching with its teacher.
        latency: prediction latency P in ticks.
        groundwork: the first part of the plain teacher's training, where the settings have two.
        longer: goes on with other clips where the plain training in the same timing has ended;
            what it has beyond that (skips, feedback, matching the plain teacher) is new to it.
    """

    stages: int = 1
    wiring: str = "sequential"
    options: Options = ()
    distilled: bool = False
    latency: int = 0
    groundwork: bool = False
    longer: bool = False

    @property
    def name(self) -> str:
        """Of its folder; says all of it."""
        parts = [self.wiring, f"k{self.stages}"]
        parts += [f"{key}-{value}" for key, value in self.options]
        parts += ["distilled"] if self.distilled else []
        parts += [f"p{self.latency}"] if self.latency else []
        parts += ["groundwork"] if self.groundwork else []
        parts += ["longer"] if self.longer else []
        return "_".join(parts)

    @property
    def role(self) -> str:
        """Which settings it takes: groundwork, teacher, widened, student or longer."""
        if self.groundwork or self.longer:
            return "groundwork" if self.groundwork else "longer"
        if self.wiring == "sequential":
            return "teacher" if self.teacher is None else "widened"
        return "student"

    @property
    def start(self) -> Training | None:
        """The network whose weights it starts from: its teacher's, or the student's it goes on
        with; None: from scratch."""
        if self.longer:
            return replace(self, options=_without(self.options, NEW), distilled=False, longer=False)
        return self.teacher

    @property
    def teacher(self) -> Training | None:
        """The sequential network it is a student of; None: from scratch.

        Skips begin at stages, so a network with skips has a teacher with the same stages, which
        itself starts from the plain one; without skips the cut changes no weight and all students
        share one teacher. Feedback starts at nothing: its teacher is the one without. A student
        that goes on keeps the plain teacher.
        """
        if self.longer:
            return Training(options=_without(self.options, NEW))
        options = _without(self.options, ("feedback",))
        skips = dict(options).get("skips", "none") != "none"
        stages = self.stages if skips else 1
        if self.wiring != "sequential":
            return replace(
                self,
                wiring="sequential",
                stages=stages,
                options=options,
                distilled=False,
                latency=0,
            )
        if not skips:
            return None
        return Training(options=_without(options, NEW))


def _without(options: Options, names: tuple[str, ...]) -> Options:
    return tuple(o for o in options if o[0] not in names)


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


def rows(figure: str, task: str, only: int | None = None) -> Iterator[Row]:
    """The rows of a figure, of all numbers of stages or of `only` one beside the sequential."""
    semi, full = STAGES[task]
    cuts = [k for k in (semi, full) if only in (None, k)]
    yield trained("sequential", Training())
    make = {"stages": _stages, "techniques": _techniques, "clocks": _clocks, "latency": _latency}
    yield from make[figure](task, cuts)


def _untrained(k: int) -> Iterator[Row]:
    teacher = Training()
    yield Row("frame skipping", teacher, "sequential", k, skipping=True)
    yield Row("pipelined, scored with its delay", teacher, "pipelined", k)
    yield Row("parallel at test time only", teacher, "predictive", k)


def _stages(task: str, cuts: list[int]) -> Iterator[Row]:
    del task
    for k in cuts:
        yield from _untrained(k)
        yield trained(BASE, Training(k, "predictive"))
        yield trained("predictive, trained longer", Training(k, "predictive", longer=True))
        both = Training(k, "predictive", SKIPS, distilled=True)
        yield trained("+ skips, distillation", both)


def _techniques(task: str, cuts: list[int]) -> Iterator[Row]:
    for k in cuts[-1:]:
        yield Row("parallel at test time only", Training(), "predictive", k)
        yield trained(BASE, Training(k, "predictive"))
        yield trained("+ distillation", Training(k, "predictive", distilled=True))
        yield trained("sequential with skips", Training(k, "sequential", SKIPS))
        yield trained("+ skips", Training(k, "predictive", SKIPS))
        both = Training(k, "predictive", SKIPS, distilled=True)
        yield trained("+ skips, distillation", both)
        if task == "joints":
            everything = replace(both, options=FEEDBACK)
            yield trained("+ skips, distillation, feedback", everything)


def _clocks(task: str, cuts: list[int]) -> Iterator[Row]:
    del task
    for clocks in ("single", "i3d", "halving"):
        options = () if clocks == "single" else (("clocks", clocks),)
        if options:
            yield trained(f"sequential, {clocks}", Training(options=options))
        for k in cuts:
            yield trained(f"predictive, {clocks}", Training(k, "predictive", options))


def _latency(task: str, cuts: list[int]) -> Iterator[Row]:
    del task
    for k in cuts[-1:]:
        for p in (0, 2):
            training = Training(k, "predictive", SKIPS, distilled=True, latency=p)
            yield trained(f"+ skips, distillation, P = {p}", training)
