"""`python -m pvnet <command>`: the same as `pvnet <command>`."""

# PYTHON_ARGCOMPLETE_OK
from __future__ import annotations

import sys

from pvnet.cli.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
