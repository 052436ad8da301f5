"""The algorithm of every convolution, by its time on one lane of the sequential network.

Wiring, cut and lanes have no part in it, so that all of them get the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pvnet.runtime.model import Opened
from pvnet.runtime.plan import Plan
from pvnet.runtime.plan_options import Options, make_plan
from pvnet.runtime.tuning.timing import node_us, tick_us

# Rounds and ticks of a round, of nodes and of whole ticks.
_ROUNDS = {"fast": (3, 4), "full": (10, 6)}
# What an algorithm's time counts as: tiles round more and have larger weights, so they must gain.
_WEIGHT = {"direct": 1.0, "winograd 2x2": 1.05, "winograd 4x4": 1.2}
# What the whole network must gain.
_WORTH = 1.01


def choices(plan: Plan, options: Options) -> dict[str, list[str]]:
    """What may be taken, by convolution: as the options allow it, the direct algorithm first."""
    found = {}
    for op in plan.ops:
        if "algorithms" not in op:
            continue
        may = list(op["algorithms"])
        tiles = [a for a in may if a != "direct"]
        if op["node"] in options.algorithms:
            may = [options.algorithms[op["node"]]]
        elif options.algorithm == "direct":
            may = ["direct"]
        elif options.algorithm == "winograd" and tiles:
            may = tiles
        found[op["node"]] = may
    return found


def quickest(
    may: dict[str, list[str]], times: Sequence[dict[str, float]], taken: Sequence[dict[str, str]]
) -> dict[str, str]:
    """By node with a choice: what took least, times weighed.

    Args:
        may: what may be taken by node.
        times: microseconds by node, of several plans.
        taken: their algorithms by node.
    """
    found = {}
    for node, algorithms in may.items():
        if len(algorithms) == 1:
            continue
        costs = {
            how[node]: us[node] * _WEIGHT.get(how[node], 1.0)
            for us, how in zip(times, taken, strict=True)
            if how[node] in algorithms
        }
        found[node] = min(algorithms, key=lambda a: costs.get(a, float("inf")))
    return found


def tune_layers(model: Opened, options: Options, effort: str) -> dict[str, Any]:
    """The entry of a network: algorithms, costs and what they gain.

    Args:
        model: wired sequentially.
        options: of one lane.
        effort: "fast" or "full".
    """
    rounds, ticks = _ROUNDS[effort]
    auto = make_plan(model, options)
    may = choices(auto, options)
    plans, taken = [], []
    free = [some for some in may.values() if len(some) > 1]
    for algorithm in dict.fromkeys(a for some in free for a in some):
        forced = {n: algorithm if algorithm in some else some[0] for n, some in may.items()}
        plans.append(make_plan(model, replace(options, algorithms=forced)))
        taken.append(forced)
    times = node_us(plans, rounds=rounds, ticks=ticks) if plans else []
    found = quickest(may, times, taken)
    tuned = make_plan(model, replace(options, algorithms={**options.algorithms, **found}))
    del plans
    auto_us, tuned_us = tick_us([auto, tuned], rounds=2 * rounds, ticks=ticks)
    if tuned_us * _WORTH > auto_us:  # the sum of single layers is not all there is
        taken_here = {o["node"]: o["algorithm"] for o in auto.ops if "algorithm" in o}
        found = {node: taken_here[node] for node in found}
        tuned, tuned_us = auto, auto_us
    (costs,) = node_us([tuned], rounds=rounds, ticks=ticks)
    return {
        "algorithms": found,
        "costs_us": {node: round(us, 3) for node, us in costs.items()},
        "auto_us": round(auto_us, 1),
        "tuned_us": round(tuned_us, 1),
    }
