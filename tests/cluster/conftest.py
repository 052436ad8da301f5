from __future__ import annotations

from shared_fixtures import own_cache

__all__ = ["own_cache"]
