"""The experiments: which networks are trained, and which rows of which table they fill.

A training is named by its settings, so experiments that share one train it once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

EXPERIMENTS = ("stages", "techniques", "clocks", "latency")
# Semi-parallel and fully parallel.
STAGES = {"joints": (7, 14), "actions": (5, 10)}
SCORE = {"joints": "pck@0.2_box", "actions": "top1"}
# Shown beside it: the usual box of a person; single ticks, where being late shows.
BESIDE = {"joints": "pck@0.2_person", "actions": "tick_top1"}
# Compared row by row: where being late shows.
COMPARED = {"joints": "pck@0.2_box", "actions": "tick_top1"}
# What the other rows of as many stages, and as long a training, are compared with.
BASE = "predictive, trained"
FINE_TUNED = "predictive, fine-tuned"
SKIPS = (("skips", "head"),)
FEEDBACK = (*SKIPS, ("feedback", 1))
AVERAGED = 4  # trainings
LATE = (1, 2, 4)  # ticks of exact answers
NEW = ("skips", "feedback")  # options that add kernels to the plain network
# Of rows before 0.2; --without and --against take them with a note on stderr.
OLD_LABELS = {
    "trained longer again": "fine-tuned twice",
    "trained longer": "fine-tuned",
    "mean of": "weight average of",
}
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
        skipping: the sequential network goes on at the rate of frame skipping (actions: motion
            looks different to a network that sees every S-th frame).
        pretraining: the first part of the teacher's training, where the settings have two.
        fine_tunings: rounds of fine-tuning. The first goes on with other clips where the plain
            training in the same timing has ended; what it has beyond that (skips, feedback,
            matching the teacher, P) is new to it. The second goes on where the first has ended.
        averaged: no training, but weight averaging of so many that differ in their seeds.
    """

    stages: int = 1
    wiring: str = "sequential"
    options: Options = ()
    distilled: bool = False
    latency: int = 0
    skipping: bool = False
    pretraining: bool = False
    fine_tunings: int = 0
    averaged: int = 1

    @property
    def name(self) -> str:
        """Of its folder; says all of it."""
        parts = [self.wiring, f"k{self.stages}"]
        parts += [f"{key}-{value}" for key, value in self.options]
        parts += ["distilled"] if self.distilled else []
        parts += [f"p{self.latency}"] if self.latency else []
        parts += ["skipping"] if self.skipping else []
        parts += ["pretraining"] if self.pretraining else []
        parts += [f"finetuned{self.fine_tunings}"] if self.fine_tunings > 1 else []
        parts += ["finetuned"] if self.fine_tunings == 1 else []
        parts += [f"average{self.averaged}"] if self.averaged > 1 else []
        return "_".join(parts)

    @property
    def role(self) -> str:
        """Which settings: pretraining, teacher, skipping, student, finetuning or finetuning2."""
        if self.pretraining or self.skipping:
            return "pretraining" if self.pretraining else "skipping"
        if self.fine_tunings:
            return "finetuning" if self.fine_tunings == 1 else f"finetuning{self.fine_tunings}"
        return "teacher" if self.wiring == "sequential" else "student"

    @property
    def plain(self) -> Options:
        """The options without those that add kernels."""
        return tuple(o for o in self.options if o[0] not in NEW)

    @property
    def teacher(self) -> Training | None:
        """The sequential network it is a student of: the plain one, for the cut changes no weight
        and skips and feedback start at nothing; None: from scratch."""
        return None if self.wiring == "sequential" else Training(options=self.plain)

    @property
    def start(self) -> Training | None:
        """The network whose weights it starts from: its teacher's, or those it goes on with; None:
        from scratch."""
        if self.fine_tunings > 1:
            return replace(self, fine_tunings=self.fine_tunings - 1)
        if self.fine_tunings or self.skipping:
            return Training(self.stages, self.wiring, self.plain)
        return self.teacher


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
        late: ticks that exact answers are late, by round-robin or pipelining in fewer stages.
    """

    label: str
    training: Training
    wiring: str
    stages: int
    skipping: bool = False
    latency: int = 0
    late: int = 0

    @property
    def name(self) -> str:
        """Of its record."""
        parts = [self.training.name, "as", self.wiring, f"k{self.stages}"]
        parts += ["skipping"] if self.skipping else []
        parts += [f"late{self.late}"] if self.late else []
        return "_".join([*parts, f"p{self.latency}"])


def read_label(text: str) -> str:
    """A label, or a part of one, that people give: an old one is taken with a note on stderr."""
    label = text
    for old, new in OLD_LABELS.items():
        label = label.replace(old, new)
    if label != text:
        print(f"note: {text!r} is called {label!r} now", file=sys.stderr)
    return label


def make_row(label: str, training: Training) -> Row:
    """A network scored as it was trained."""
    return Row(label, training, training.wiring, training.stages, latency=training.latency)


def rows(experiment: str, task: str, only: int | None = None) -> Iterator[Row]:
    """The rows of an experiment, of all numbers of stages or `only` one beside the sequential."""
    semi, full = STAGES[task]
    late = LATE if experiment == "stages" else ()
    cuts = [k for k in (semi, full) if only in (None, k)]
    yield make_row("sequential", Training())
    for ticks in late:
        words = f"exact, {ticks} tick{'s' if ticks > 1 else ''} late"
        yield Row(words, Training(), "sequential", 1, late=ticks)
    make = {"stages": _stages, "techniques": _techniques, "clocks": _clocks, "latency": _latency}
    yield from make[experiment](task, cuts)


def _rivals(task: str, k: int) -> Iterator[Row]:
    teacher = Training()
    yield Row("frame skipping", teacher, "sequential", k, skipping=True)
    if task == "actions":
        at_its_rate = Training(skipping=True)
        yield Row("frame skipping, trained so", at_its_rate, "sequential", k, skipping=True)
    yield Row("pipelined, scored with its delay", teacher, "pipelined", k)
    yield Row("parallel at test time only", teacher, "predictive", k)


def _stages(task: str, cuts: list[int]) -> Iterator[Row]:
    for k in cuts:
        yield from _rivals(task, k)
        yield make_row(BASE, Training(k, "predictive"))
        yield make_row(FINE_TUNED, Training(k, "predictive", fine_tunings=1))
        skips = Training(k, "predictive", SKIPS, fine_tunings=1)
        yield make_row("+ skips", skips)
        yield make_row("+ skips, distillation", replace(skips, distilled=True))
        if task == "joints" and k == STAGES[task][-1]:
            yield make_row("+ skips, fine-tuned twice", replace(skips, fine_tunings=2))
            average = Training(k, "predictive", averaged=AVERAGED)
            yield make_row(f"{BASE}, weight average of {AVERAGED}", average)


def _techniques(task: str, cuts: list[int]) -> Iterator[Row]:
    for k in cuts[-1:]:
        plain = Training(k, "predictive", fine_tunings=1)
        yield make_row(BASE, replace(plain, fine_tunings=0))
        yield make_row(FINE_TUNED, plain)
        yield make_row("+ distillation", replace(plain, distilled=True))
        yield make_row("+ skips", replace(plain, options=SKIPS))
        yield make_row("+ skips, distillation", replace(plain, options=SKIPS, distilled=True))
        if task == "joints":
            yield make_row("+ skips, feedback", replace(plain, options=FEEDBACK))


def _clocks(task: str, cuts: list[int]) -> Iterator[Row]:
    del task
    for clocks in ("single", "i3d", "halving"):
        options = () if clocks == "single" else (("clocks", clocks),)
        if options:
            yield make_row(f"sequential, {clocks}", Training(options=options))
        for k in cuts:
            yield make_row(f"predictive, {clocks}", Training(k, "predictive", options))


def _latency(task: str, cuts: list[int]) -> Iterator[Row]:
    del task
    for k in cuts[-1:]:
        for p in (0, 2):
            training = Training(k, "predictive", latency=p, fine_tunings=1)
            yield make_row(f"{FINE_TUNED}, P = {p}", training)
