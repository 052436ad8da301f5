"""What a command hands back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Report:
    """Result of one command: `document` is what --json prints, `text` what people read.

    `code` is the exit code: a result may be there although the command was interrupted or something
    failed.
    """

    document: dict[str, Any]
    text: str
    code: int = 0


class UsageError(Exception):
    """Arguments that parse but make no sense together; the process ends with 2."""
