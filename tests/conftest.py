"""For all tests."""

from __future__ import annotations

import os

# Programs that tests start must find the installed package, not the source tree they happen to
# stand in, which has no compiled core.
os.environ["PYTHONSAFEPATH"] = "1"
