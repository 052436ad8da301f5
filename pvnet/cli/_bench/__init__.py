"""What `pvnet bench` is made of."""

from __future__ import annotations
