from __future__ import annotations

import pytest
from data_helpers import tiny_jhmdb


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PVNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def jhmdb(tmp_path_factory):
    return tiny_jhmdb(tmp_path_factory.mktemp("jhmdb"))
