"""What the processes of test_tuning.py do; without torch, so that they start quickly."""

from __future__ import annotations

from pvnet.runtime.tuning.cache import Cache
from pvnet.runtime.tuning.result import is_lanes

KEYS = 20


def put_many(number: int) -> int:
    """Its own keys, and one that all want. Gives what the shared one became."""
    cache = Cache()
    for i in range(KEYS):
        cache.put(f"{number}-{i}", {"lanes": 1, "levelled_by": "model"}, is_lanes)
    mine = {"lanes": number + 1, "levelled_by": "model"}
    return int(cache.put("shared", mine, is_lanes)["lanes"])
