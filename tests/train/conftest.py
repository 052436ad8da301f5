"""Torch on one thread; all of it is left out where torch is not installed."""

from __future__ import annotations

import importlib.util

from shared_fixtures import one_thread_always

__all__ = ["one_thread_always"]

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
