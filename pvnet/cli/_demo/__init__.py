"""What `pvnet demo` is made of."""

from __future__ import annotations
