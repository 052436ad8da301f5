"""Where tests of the device run: on a real one, on the stand-in of test builds, on the host."""

from __future__ import annotations

import pytest

from pvnet import _core

real = pytest.param({"backend": "cuda"}, id="device", marks=pytest.mark.gpu)
shim = pytest.param(
    {"backend": "cuda", "isa": "shim"},
    id="shim",
    marks=pytest.mark.skipif(not hasattr(_core, "shim"), reason="a build without the stand-in"),
)
