"""The past of a network without state of its own: what goes out of a tick comes in at the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any


class Past:
    """Buffers that take turns, so that nothing is copied.

    Args:
        kept: name, shape and number of frames back of each map, as `StepNet.kept`.
        frame: the name of the frame among them: the caller has it, so no buffer is written.
        make: a buffer of zeros of a shape [c, h, w].
    """

    def __init__(
        self,
        kept: Sequence[tuple[str, Sequence[int], int]],
        frame: str,
        make: Callable[[Sequence[int]], Any],
    ) -> None:
        self._names = [name for name, _, _ in kept]
        self._frame = frame
        # The first is written in this tick; behind it the past, the newest first.
        self._rings = [deque(make(shape) for _ in range(back + 1)) for _, shape, back in kept]

    def before(self) -> list[Any]:
        """All that comes in."""
        return [buffer for ring in self._rings for buffer in list(ring)[1:]]

    def now(self) -> list[Any]:
        """The buffers to be written."""
        return [ring[0] for name, ring in zip(self._names, self._rings) if name != self._frame]

    def turn(self, frame: Any, now: Sequence[Any] | None = None) -> None:
        """The tick has been made; `now`: what came out, where no buffers were written."""
        rest = list(now or [])
        for name, ring in zip(self._names, self._rings):
            if name == self._frame:
                ring[0] = frame
            elif now is not None:
                ring[0] = rest.pop(0)
            ring.appendleft(ring.pop())
