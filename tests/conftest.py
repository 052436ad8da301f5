"""For all tests."""

from __future__ import annotations

import os
import signal

# Programs that tests start must find the installed package, not the source tree they happen to
# stand in, which has no compiled core.
os.environ["PYTHONSAFEPATH"] = "1"

# A shell starts what it runs in the background with Ctrl-C ignored, and programs pass that on to
# those that they start. Tests that send it mean a program that heeds it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
