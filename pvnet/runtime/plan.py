"""Plan: a compiled network."""

from __future__ import annotations

from pvnet.runtime.plan_facts import PlanFacts
from pvnet.runtime.stream import Stream


class Plan(PlanFacts):
    """A compiled, immutable network; made by `pvnet.compile`, shared by any number of Streams.

    Attributes:
        graph: the wired graph it was made from.
        metadata: free text of the model file.

    """

    def stream(self) -> Stream:
        """A new Stream: the state of `batch` videos, all at their first tick."""
        return Stream(self)
