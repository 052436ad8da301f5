from __future__ import annotations

from shared_fixtures import jhmdb, own_cache

__all__ = ["jhmdb", "own_cache"]
