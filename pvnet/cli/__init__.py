"""The `pvnet` command: one file per command, docs/cli.md describes them all."""

from __future__ import annotations
