"""What cannot be imported: gathered over the whole file, and told once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 3


class Refused(Exception):
    """Why one operation cannot be imported."""


class Cut(Refused):
    """Why the network ends before an operation: a tail that chooses, sorts or suppresses."""


@dataclass(frozen=True)
class Refusal:
    """One operation of the file that cannot be imported.

    Attributes:
        op: its type in the file.
        node: its name, or the name of its first output.
        reason: why.
        cut: whether it belongs to a tail of the network, which may be left out.
    """

    op: str
    node: str
    reason: str
    cut: bool


def few(names: Iterable[str]) -> str:
    """Some names and a count of the others."""
    listed = list(dict.fromkeys(names))
    rest = len(listed) - SHOWN
    return ", ".join(listed[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def listing(refusals: Iterable[Refusal]) -> list[str]:
    """One line for each kind of operation and reason."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for r in refusals:
        kinds.setdefault((r.op, r.reason), []).append(r.node)
    return [
        f"{op} ({len(nodes)} node{'s' * (len(nodes) > 1)}: {few(nodes)}): {reason}"
        for (op, reason), nodes in kinds.items()
    ]
