"""What from_torch could not convert, told in one line for every kind of operation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pvnet.errors import UnsupportedError
from pvnet.nn.torch_import import Refused

_PATHS = 3  # that a line shows
_CURE = "Replace it by operations that docs/import.md lists."


@dataclass
class _Kind:
    """Refusals of one operation for one reason."""

    name: str
    reason: Refused
    paths: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        count = len(self.paths)
        shown = list(dict.fromkeys(self.paths))
        listed = ", ".join(shown[:_PATHS])
        if len(shown) > _PATHS:
            listed += f" and {len(shown) - _PATHS} more"
        often = "" if count == 1 else f"{count} times, "
        return f"{self.name} ({often}in {listed}): {self.reason}. {self.reason.cure or _CURE}"


class Refusals:
    """Collects refusals while a module is walked."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def add(self, name: str, where: str, reason: Refused) -> None:
        """One operation in the module with path `where`; the numbers of a reason make no kind."""
        key = name, re.sub(r"[\d.]+", "#", str(reason))
        self._kinds.setdefault(key, _Kind(name, reason)).paths.append(where)

    def check(self) -> None:
        """Raises UnsupportedError if anything was refused."""
        if not self._kinds:
            return
        count = sum(len(kind.paths) for kind in self._kinds.values())
        listing = "".join(f"\n  {kind}" for kind in self._kinds.values())
        operations = "operation" if count == 1 else "operations"
        raise UnsupportedError(
            f"[from_torch] the module cannot be imported: got {count} unsupported {operations}, "
            f"expected only those of docs/import.md. Change these:{listing}\n"
            "or build the network with pvnet.Graph."
        )
