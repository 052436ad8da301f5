"""Options under the names they had: for one release these work, with a note on stderr."""

from __future__ import annotations

import argparse
import sys
from typing import Any


class OldFlag(argparse.Action):
    """A flag that help does not show; it sets what its new name sets."""

    def __init__(self, option_strings: list[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=False, help=argparse.SUPPRESS)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        del parser, values
        tell_renamed(str(option_string), "--" + self.dest.replace("_", "-"))
        setattr(namespace, self.dest, True)


def tell_renamed(old: str, new: str) -> None:
    """Say on stderr what is to be typed from the next release on."""
    print(f"pvnet: {old} is called {new} now; the next release drops the old name", file=sys.stderr)
