"""Plan: a compiled network."""

from __future__ import annotations

from pvnet.runtime.plan_facts import PlanFacts
from pvnet.runtime.stream import Stream
from pvnet.runtime.tuning.result import Tuning


class Plan(PlanFacts):
    """A compiled, immutable network; made by `pvnet.compile`, shared by any number of Streams.

    Attributes:
        graph: the wired graph it was made from.
        metadata: free text of the model file.
        tuning: what `compile(tune=)` has found; None where it was off.

    """

    tuning: Tuning | None = None

    def stream(self) -> Stream:
        """A new Stream: the state of `batch` videos, all at their first tick."""
        return Stream(self)
