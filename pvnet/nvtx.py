"""Ranges that a profiler shows (Nsight Systems), in the domain `pvnet` of NVTX.

Ticks, stages and operations show themselves (docs/profiling.md); `io` is for what a program does
around them. No package is needed: the core has it. A range costs next to nothing while no profiler
is attached, and nothing is shown by a build that found no headers of NVTX (`pvnet.info()`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from pvnet import _core

__all__ = ["attached", "io"]

_ATTACHED = _core.nvtx_attach()
_NOTHING = nullcontext()


def attached() -> bool:
    """Whether a profiler was attached when this module was imported."""
    return _ATTACHED


def io(name: str, index: int) -> AbstractContextManager[None]:
    """A range of category `io` on this thread, to be used in a `with` statement.

    It must end on the thread and in the function call that began it: not across a `yield`.

    Args:
        name: what is done, in a few words.
        index: payload of the range: the index of the frame or the tick.
    """
    return _Range(name, index) if _ATTACHED else _NOTHING


class _Range(AbstractContextManager[None]):
    __slots__ = ("_index", "_name")

    def __init__(self, name: str, index: int) -> None:
        self._name, self._index = name, index

    def __enter__(self) -> None:
        _core.nvtx_push(self._name, self._index)

    def __exit__(self, *error: object) -> None:
        _core.nvtx_pop()
