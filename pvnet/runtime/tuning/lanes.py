"""How many lanes, and by which costs they are levelled: by the time of whole ticks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pvnet.runtime.machine import cpus_allowed
from pvnet.runtime.model import Opened
from pvnet.runtime.plan import Plan
from pvnet.runtime.plan_options import Options, make_plan
from pvnet.runtime.tuning.result import MOST_LANES
from pvnet.runtime.tuning.timing import tick_us

_ROUNDS, _TICKS = 8, 6
# More lanes, or costs that no other machine has, must gain so much.
_WORTH = 1.02


def counts(asked: int, most: int) -> list[int]:
    """Numbers of lanes to try: the one asked for, or 1, 2, 4, ... and all."""
    if asked:
        return [asked]
    powers = [2**i for i in range(most.bit_length()) if 2**i < most]
    return [*powers, most]


def tune_lanes(model: Opened, options: Options, costs: dict[str, float]) -> dict[str, Any]:
    """The entry of a wired network: lanes and `levelled_by`.

    Args:
        model: as it is to run.
        options: with the algorithms that were found.
        costs: measured microseconds by node.
    """
    ways: list[tuple[int, str]] = []
    plans: list[Plan] = []
    for lanes in counts(options.lanes, min(cpus_allowed(), MOST_LANES)):
        for by, known in (("model", {}), ("measured", costs)):
            if lanes == 1 and by == "measured" and plans:
                continue  # nobody to share with
            plan = make_plan(model, replace(options, lanes=lanes, costs=known))
            ways.append((lanes, by))
            plans.append(plan)
    best, least = 0, float("inf")
    for i, us in enumerate(tick_us(plans, rounds=_ROUNDS, ticks=_TICKS)):
        if us * (_WORTH if i else 1.0) < least:
            best, least = i, us
    return {"lanes": ways[best][0], "levelled_by": ways[best][1], "tick_us": round(least, 1)}
