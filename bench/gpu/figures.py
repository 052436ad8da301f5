"""The figures that have a goal, from the records: what was found, at least, aim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Records = dict[str, dict[str, Any] | None]
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Goal:
    """A figure, bf16, batch 1, 224 x 224, single clocks.

    Attributes:
        name: as the table shows it.
        least, aim: bounds; of times from above, of ratios from below.
        found: the figure in the records; None where it is not there or not right.
        below: whether less is better.
    """

    name: str
    least: float
    aim: float
    found: Callable[[Records], float | None]
    below: bool = False

    def row(self, records: Records) -> tuple[str, str, str, str, str]:
        """Name, least, aim, what was found, and a verdict."""
        try:
            value = self.found(records)
        except (KeyError, IndexError):  # a record of an older source
            value = None
        bounds = (f"{self.least:g}", f"{self.aim:g}")
        if value is None:
            return (self.name, *bounds, NOT_MEASURED, "")
        return (self.name, *bounds, f"{value:.3g}", self.verdict(value))

    def verdict(self, value: float) -> str:
        meets = (lambda bound: value <= bound) if self.below else (lambda bound: value >= bound)
        return "aim" if meets(self.aim) else "at least" if meets(self.least) else "MISSED"


def rows_of(records: Records, step: str, **fields: object) -> list[dict[str, Any]]:
    """Rows of a step that have these values and are right."""
    rows = (records.get(step) or {"rows": []})["rows"]
    return [
        row
        for row in rows
        if row.get("right") is not False and all(row.get(k) == v for k, v in fields.items())
    ]


def best_us(net: str) -> Callable[[Records], float | None]:
    """Microseconds of a tick by the quickest executor."""

    def found(records: Records) -> float | None:
        for row in rows_of(records, "own", net=net, dtype="bf16"):
            if row.get("best"):
                return float(row[f"{row['best']}_us"])
        return None

    return found


def ratio(name: str, cut: int | str, column: str) -> Callable[[Records], float | None]:
    """A column of the step `peers` in the row of an own cut."""

    def found(records: Records) -> float | None:
        for row in rows_of(records, "peers", net=name, way=f"pvnet {cut}"):
            if row.get(column):
                return float(row[column])
        return None

    return found


def over_streams(records: Records) -> float | None:
    """The largest gain over `streams` of the nets that have several stages."""
    nets = [n for n in ("par_inception 10", "par_densenet 14") if best_us(n)(records)]
    found = [rows_of(records, "own", net=n, dtype="bf16")[0]["streams_over_best"] for n in nets]
    return min((value for value in found if value), default=None)


def latency(column: str) -> Callable[[Records], float | None]:
    """The worst of the networks."""

    def found(records: Records) -> float | None:
        return max((row[column] for row in rows_of(records, "latency")), default=None)

    return found


def share(records: Records) -> float | None:
    """Percent of the card's measured matrix rate, at 64 rows in one Stream."""
    found = [row["share_of_card"] for row in rows_of(records, "rows", streams=1, rows=64)]
    best = max((value for value in found if value), default=None)
    return None if best is None else 100 * best


def flat(records: Records) -> float | None:
    """Tick time of 100 equal layers over that of 10."""
    us = {row["depth"]: row["layers_us"] for row in rows_of(records, "depth", channels=64)}
    return us[100] / us[10] if 10 in us and 100 in us else None


PEER, OWN = "best_peer_over_this", "own_sequential_over_this"
INCEPTION, DENSENET = "par_inception", "par_densenet"
GOALS = (
    Goal("Par-Inception layers, us a tick", 100, 40, best_us("par_inception layers"), True),
    Goal("Par-Inception 10, us a tick", 130, 75, best_us("par_inception 10"), True),
    Goal("Par-DenseNet layers, us a tick", 80, 40, best_us("par_densenet layers"), True),
    Goal("Par-DenseNet 14, us a tick", 110, 60, best_us("par_densenet 14"), True),
    Goal("Par-Inception 10 over the best peer", 3, 6, ratio(INCEPTION, 10, PEER)),
    Goal("Par-Inception layers over the best peer", 4, 8, ratio(INCEPTION, "layers", PEER)),
    Goal("Par-DenseNet 14 over the best peer", 4, 6, ratio(DENSENET, 14, PEER)),
    Goal("Par-DenseNet layers over the best peer", 5, 9, ratio(DENSENET, "layers", PEER)),
    Goal("Par-Inception 10 over own sequential", 2, 3, ratio(INCEPTION, 10, OWN)),
    Goal("Par-Inception layers over own sequential", 3, 5, ratio(INCEPTION, "layers", OWN)),
    Goal("Par-DenseNet 14 over own sequential", 4, 6, ratio(DENSENET, 14, OWN)),
    Goal("Par-DenseNet layers over own sequential", 6, 10, ratio(DENSENET, "layers", OWN)),
    Goal("best executor over streams", 1.5, 2.5, over_streams),
    Goal("host to host p50, us", 300, 120, latency("p50_us"), True),
    Goal("host to host p99, us", 500, 200, latency("p99_us"), True),
    Goal("64 rows, % of the matrix rate", 20, 35, share),
    Goal("100 equal layers over 10, tick time", 2, 1.1, flat, True),
)


def table(records: Records) -> list[str]:
    """Lines; nothing where the records are of a dry run."""
    if any(data["dry"] for data in records.values() if data is not None):
        return ["goals: a dry run measures none"]
    rows = [("goal", "at least", "aim", "found", ""), *(goal.row(records) for goal in GOALS)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return [" ".join(c.ljust(w) for c, w in zip(row, [*widths, 0])).rstrip() for row in rows]
