"""Memory of a training process on the CPU."""

from __future__ import annotations

import ctypes
import sys

# Numbers of mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEPT = 2**31 - 1
_STEP = 64 * 2**20


def keep_freed_memory() -> bool:
    """Let the allocator keep what a step frees for the next one, for as long as the process lives.

    A step allocates and frees the same maps again and again. glibc hands the large ones back to the
    system every time, and gets pages that have to be cleared.

    Returns:
        Whether it took effect: only with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _STEP), (_MMAP_MAX, 0))
    return all(mallopt(name, value) == 1 for name, value in settings)
