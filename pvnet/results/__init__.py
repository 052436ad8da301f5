"""Results out of a run: rows, files, and what other tools take."""

from __future__ import annotations

from pvnet.results.rerun import RerunLog
from pvnet.results.rows import Row, expect_results, row_of
from pvnet.results.supervision import EDGES, key_points
from pvnet.results.writer import ENDS, ResultsWriter, end_of

__all__ = [
    "EDGES",
    "ENDS",
    "RerunLog",
    "ResultsWriter",
    "Row",
    "end_of",
    "expect_results",
    "key_points",
    "row_of",
]
