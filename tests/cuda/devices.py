"""Where tests of the device run: on a real one, on the stand-in of test builds, on the host."""

from __future__ import annotations

import pytest

import pvnet

EXECUTORS = ("serial", "streams", "graph", "group", "wave", "packed")


def has_shim() -> bool:
    """Whether this build has the stand-in; it is not among the backends that are listed."""
    graph = pvnet.Graph()
    graph.output(graph.input("frame", channels=1, height=1, width=1), name="same")
    try:
        pvnet.compile((graph, {}), backend="cuda", isa="shim")
    except pvnet.PvnetError:
        return False
    return True


real = pytest.param({"backend": "cuda"}, id="device", marks=pytest.mark.gpu)
shim = pytest.param(
    {"backend": "cuda", "isa": "shim"},
    id="shim",
    marks=pytest.mark.skipif(not has_shim(), reason="a build without the stand-in"),
)
