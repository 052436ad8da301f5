"""Fixtures of several folders; a conftest.py takes those that its tests need by importing them."""

from __future__ import annotations

import pytest


def _torch_on_one_thread():
    """Maps of a few pixels: threads only get in each other's way."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


one_thread = pytest.fixture(_torch_on_one_thread)  # for tests that ask for it
one_thread_always = pytest.fixture(autouse=True)(_torch_on_one_thread)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Caches of data sets in a folder of the test."""
    monkeypatch.setenv("PVNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def jhmdb(tmp_path_factory):
    """The miniature of J-HMDB's folder."""
    from data_helpers import tiny_jhmdb

    return tiny_jhmdb(tmp_path_factory.mktemp("jhmdb"))
