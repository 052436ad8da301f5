"""A Ray cluster of two machines with one CPU each, both of them processes of this one."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_ray = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
    # Some versions leave their log files and processes, ended or not, to the garbage collector.
    pytest.mark.filterwarnings("ignore:.*/dev/null:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*Popen.__del__:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file .*/dev/null:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@contextmanager
def two_machines() -> Iterator[str]:
    """Address of the cluster, for as long as the context lasts."""
    from ray.cluster_utils import Cluster

    handler = signal.getsignal(signal.SIGTERM)  # every node sets its own in this process
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
        yield cluster.address
    finally:
        cluster.shutdown()
        signal.signal(signal.SIGTERM, handler)
        gc.collect()  # what it leaves behind is found here, not in another test


def children() -> set[int]:
    """Processes that this one has started and that are there; empty where there is no /proc."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(status.parent.name))
    return found
