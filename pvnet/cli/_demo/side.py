"""One side of the comparison: a network, how long its ticks take, and what it answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import viz
from pvnet.cli._common.network_choice import Choice
from pvnet.cli._common.overlay import Overlay
from pvnet.cli._common.stats import latency_summary
from pvnet.cli._demo.clock import Moment, Result, live, on_show
from pvnet.cli._demo.demo_run import pck
from pvnet.cli._demo.lanes import OperationTimes, Schedule
from pvnet.runtime import Plan
from pvnet.video import Frame
from pvnet.video.synthetic import SyntheticFrame

_COLD_TICKS = 3


@dataclass
class Side:
    """A network on the common clock.

    Attributes:
        title: above its pane.
        choice: where it came from.
        plan: compiled; on one lane where the lanes are simulated.
        schedule: of the machine that is pretended; None: the plan's own lanes are real.
        slowdown: factor on every measured time.
        lanes_simulated: lanes of that machine.
        results: what exists when, after `run`.
        outputs: what the overlay draws of every result.
        tick_ms: time of every result, slowdown included.
    """

    title: str
    choice: Choice
    plan: Plan
    slowdown: float = 1.0
    lanes_simulated: int | None = None
    schedule: Schedule | None = None
    results: list[Result] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    tick_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.overlay = Overlay(self.plan, self.choice)
        self._output = next(iter(self.plan.outputs))
        self._simulated_ms: NDArray[np.float64] | None = None
        self.stage_ms: list[float] | None = None

    @property
    def lanes(self) -> int:
        """Lanes that the times stand for."""
        return self.lanes_simulated or self.plan.lanes

    @property
    def warm_up_ticks(self) -> int:
        """Results before this one say nothing."""
        return self.plan.warm_up_ticks[self._output]

    def simulate(self, times: OperationTimes) -> None:
        """From here on a tick takes what its schedule makes of these times; without one nothing."""
        if self.schedule is not None:
            self._simulated_ms = times.tick_ms(self.schedule)
            self.stage_ms = times.stage_ms

    def measure(self, frames: Sequence[Frame]) -> list[float]:
        """Milliseconds of some ticks, slowdown included; of the pretended lanes if they are."""
        if self._simulated_ms is not None:
            return [float(ms) * self.slowdown for ms in self._simulated_ms]
        # A rehearsal, every frame: what is done beside the ticks has its effect here too.
        work = self._new_stream(frames)
        return [1e3 * work(index) for index in range(len(frames))]

    def run(self, frames: Sequence[Frame], rate_hz: float) -> None:
        """Take the newest frame whenever free; the time of a tick is that of this very tick."""
        self.results = live(len(frames), rate_hz, self._new_stream(frames))

    def _new_stream(self, frames: Sequence[Frame]) -> Callable[[int], float]:
        """Seconds that a frame takes, by its index; what comes out is kept from here on."""
        stream = self.plan.stream()
        for frame in frames[:_COLD_TICKS]:
            stream.tick(frame.image)
        stream.reset()
        self.outputs, self.tick_ms = [], []

        def work(index: int) -> float:
            tick = stream.tick(frames[index].image)
            ms = tick.latency_ms
            if self._simulated_ms is not None:
                ms = float(self._simulated_ms[len(self.outputs) % len(self._simulated_ms)])
            self.outputs.append(self.overlay.meaning.kept(tick))
            self.tick_ms.append(ms * self.slowdown)
            return self.tick_ms[-1] / 1e3

        return work

    def shown(self, moment: Moment) -> int | None:
        """Index of the result on show; None before the first that says something."""
        index = on_show(self.results, moment)
        return None if index is None or index < self.warm_up_ticks else index

    def facts(
        self, frames: Sequence[Frame], moments: Sequence[Moment], rate_hz: float
    ) -> dict[str, Any]:
        """Numbers of this side; ages and PCK are means over `moments`, at which all is on show."""
        indices = [index for index in map(self.shown, moments) if index is not None]
        ages_ms = [self.age_ms(m, i, rate_hz) for m, i in zip(moments, indices)]
        behind = [m.frame - self.newest_frame(i) for m, i in zip(moments, indices)]
        return {
            "title": self.title,
            "model": self.choice.label,
            "weights": self.choice.weights_words,
            "model_random": self.choice.random,
            "wiring": self.plan.graph.wiring,
            "stages": self.plan.graph.n_stages,
            "information_latency_ticks": self.plan.graph.outputs[0].information_latency_ticks,
            "lanes": self.lanes,
            "lanes_simulated": self.lanes_simulated is not None,
            "stage_ms": self.stage_ms,
            **latency_summary(self.tick_ms),
            "results": len(self.results),
            "missed_frames": len(frames) - len(self.results),
            "age_mean_frames": float(np.mean(behind)) if behind else None,
            "age_mean_ms": float(np.mean(ages_ms)) if ages_ms else None,
            **self._scores(frames, moments, indices),
        }

    def mark(
        self, picture: NDArray[np.uint8], frames: Sequence[Frame], moment: Moment, index: int
    ) -> None:
        """Draw result `index` over the picture of a moment, in place.

        Random weights know no joints. For them it draws the true joints of the newest frame that
        the result has heard of: what is wrong with those is their age alone.
        """
        heard = frames[self.newest_frame(index)]
        if self.choice.random and isinstance(heard, SyntheticFrame):
            height, width = heard.image.shape[:2]
            scale = np.array([picture.shape[1] / width, picture.shape[0] / height], np.float32)
            viz.draw_pose(picture, (heard.joints + 0.5) * scale - 0.5)
        else:
            self.overlay.mark(picture, frames[moment.frame], self.outputs[index])

    def newest_frame(self, index: int) -> int:
        """Index of the newest frame that had a part in result `index`: the information latency."""
        ticks = self.plan.graph.outputs[0].information_latency_ticks
        return self.results[max(0, index - ticks)].frame

    def age_ms(self, moment: Moment, index: int, rate_hz: float) -> float:
        """How long ago the newest frame in result `index` arrived."""
        return 1e3 * (moment.now_s - self.newest_frame(index) / rate_hz)

    def _scores(
        self, frames: Sequence[Frame], moments: Sequence[Moment], indices: Sequence[int]
    ) -> dict[str, float | None]:
        """What was on show against the truth of the newest frame, where there is a truth."""
        if not (isinstance(frames[0], SyntheticFrame) and self.overlay.meaning.has_joints):
            return {"pck_0_2": None}
        read = self.overlay.meaning
        found = {i: read.joints(self.outputs[i])[:, :2] for i in set(indices)}
        if self.choice.random:  # as drawn
            heard = {i: frames[self.newest_frame(i)] for i in found}
            found = {i: f.joints for i, f in heard.items() if isinstance(f, SyntheticFrame)}
        truth = [f for f in (frames[m.frame] for m in moments) if isinstance(f, SyntheticFrame)]
        return {"pck_0_2": pck([found[i] for i in indices], truth)}
