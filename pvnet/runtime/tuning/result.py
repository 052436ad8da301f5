"""What was found for a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EFFORTS = ("off", "fast", "full")
MOST_LANES = 256  # of a plan


@dataclass(frozen=True)
class Tuning:
    """Of a Plan that was compiled with `tune`; `compile(algorithm=, costs=, lanes=)` repeats it.

    Attributes:
        effort: "fast" or "full".
        cached: nothing was measured, all was in the cache.
        algorithms: of every convolution that has a choice, by node.
        costs_us: microseconds per firing by node, with these algorithms, on one lane.
        auto_us: of a sequential tick on one lane, with the cost model's algorithms.
        tuned_us: with the ones here.
        lanes: of the plan.
        levelled_by: "measured" or "model": which costs share a tick among the lanes.
    """

    effort: str
    cached: bool
    algorithms: dict[str, str]
    costs_us: dict[str, float]
    auto_us: float
    tuned_us: float
    lanes: int
    levelled_by: str


def is_layers(entry: Any) -> bool:
    """Whether an entry of the cache is one of algorithms and costs."""
    return (
        isinstance(entry, dict)
        and _is_map(entry.get("algorithms"), str)
        and _is_map(entry.get("costs_us"), float)
        and all(_is_time(entry.get(key)) for key in ("auto_us", "tuned_us"))
    )


def is_lanes(entry: Any) -> bool:
    """Whether an entry of the cache is one of lanes."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("lanes"), int)
        and not isinstance(entry["lanes"], bool)
        and 1 <= entry["lanes"] <= MOST_LANES
        and entry.get("levelled_by") in ("measured", "model")
    )


def _is_map(value: Any, kind: type) -> bool:
    return isinstance(value, dict) and all(
        isinstance(k, str) and (_is_time(v) if kind is float else isinstance(v, kind))
        for k, v in value.items()
    )


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12
