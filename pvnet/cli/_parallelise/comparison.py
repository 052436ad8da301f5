"""Everybody on the same held-out frames: which way to use the lanes answers best, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.cli._parallelise.answers import Pieces, answer
from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.rivals import Rival, TickTimes, compare, list_rivals
from pvnet.runtime import Plan

UNTRAINED = "untrained"
# Errors that differ by less than this, of the smaller one, are called a tie.
_TIE = 0.02
_MAX_BYTES = 2**28  # of the answers of one network


@dataclass(frozen=True)
class Clock:
    """How frames come.

    Attributes:
        name: in words.
        frame_ms: between two frames.
        times: of the ticks on these lanes.
    """

    name: str
    frame_ms: float
    times: TickTimes


class Answers:
    """The answers of the networks on held-out videos, computed when they are first asked for.

    Args:
        plans: by who says it: "exact", "predictive", perhaps "untrained".
        pieces: videos, uint8 [t, h, w, 3]; as many frames as fit into memory are used.
    """

    def __init__(self, plans: Mapping[str, Plan], pieces: Pieces) -> None:
        self._plans = plans
        values = sum(int(np.prod(s)) for s in plans["exact"].outputs.values())
        room = max(8, _MAX_BYTES // (4 * values * len(pieces)))
        self.pieces = [piece[:room] for piece in pieces]
        self._known: dict[tuple[str, int], dict[str, list[NDArray[np.float32]]]] = {}

    @property
    def warm_up(self) -> dict[str, int]:
        """Ticks until answers count, by who says it."""
        return {name: max(plan.warm_up_ticks.values()) for name, plan in self._plans.items()}

    def of(self, says: str, every: int, output: str) -> list[NDArray[np.float32]]:
        """Answers [t, ...] for every n-th frame, one array a video."""
        if (says, every) not in self._known:
            self._known[says, every] = answer(self._plans[says], self.pieces, every)
        return self._known[says, every][output]


def rivals_of(clock: Clock, *, stages: int, has_state: bool, trained: bool) -> list[Rival]:
    """All of a clock; the predictive network also as it was before it was trained."""
    found = list_rivals(clock.times, frame_ms=clock.frame_ms, stages=stages, has_state=has_state)
    if not trained:
        return found
    return [*found, replace(found[-1], name="predictive, untrained", says=UNTRAINED)]


def score(clock: Clock, rivals: Sequence[Rival], answers: Answers) -> dict[str, Any]:
    """Rows of one clock, who wins, and the sentence that says so.

    Raises:
        InvalidArgumentError: no held-out video is long enough.
    """
    outputs = list(answers._plans["exact"].outputs)
    by_output = {
        name: compare(rivals, lambda says, n, name=name: answers.of(says, n, name), answers.warm_up)  # type: ignore[misc]
        for name in outputs
    }
    ticks = int(by_output[outputs[0]][0]["ticks"])
    if not ticks:
        longest = max(len(piece) for piece in answers.pieces)
        late = max(r.protocol.late for r in rivals)
        raise InvalidArgumentError(
            f"[parallelise] no held-out video is long enough: got {longest} frames, expected more "
            f"than {late} and the warm-up. Give longer videos, or fewer --stages."
        )
    rows = []
    for k, rival in enumerate(rivals):
        each = {name: by_output[name][k] for name in outputs}
        rows.append(
            {
                "name": rival.name,
                "says": rival.says,
                "every": rival.protocol.every,
                "late_ticks": rival.protocol.late,
                "delay_ms": rival.delay_ms,
                "answers_per_s": 1e3 / (clock.frame_ms * rival.protocol.every),
                "error": float(np.mean([e["error"] for e in each.values()])),
                "outputs": each,
            }
        )
    winner, words = _verdict([r for r in rows if r["says"] != UNTRAINED])
    return {
        "clock": clock.name,
        "frame_ms": clock.frame_ms,
        "lanes": clock.times.lanes,
        "simulated": clock.times.simulated,
        "ticks": ticks,
        "rows": rows,
        "winner": winner,
        "verdict": words,
    }


def _verdict(rows: list[dict[str, Any]]) -> tuple[str, str]:
    best = min(rows, key=lambda r: r["error"])
    predictive = next(r for r in rows if r["says"] == "predictive")
    rival = min((r for r in rows if r["says"] == "exact"), key=lambda r: r["error"])
    if rival["error"] == 0 and rival["late_ticks"] == 0:
        words = (
            f"{rival['name'].capitalize()} wins: it is exact and in time. "
            "Depth-parallelism has nothing to gain here."
        )
        return rival["name"], words
    if abs(predictive["error"] - rival["error"]) <= _TIE * rival["error"]:
        words = f"A tie: predictive {predictive['error']:.3f}, {rival['name']} {rival['error']:.3f}"
        return "tie", words + "."
    other = rival if best is predictive else predictive
    words = (
        f"{best['name'].capitalize()} wins: error {best['error']:.3f} against "
        f"{other['error']:.3f} of {other['name']}."
    )
    return best["name"], words
