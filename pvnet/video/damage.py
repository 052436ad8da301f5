"""Which decoded pictures show damage: a fault is passed on to all that is predicted from it.

A decoder tells of a fault where it meets it. What follows is decoded without a complaint from a
wrong picture, until a key frame begins anew. Pictures are decoded in another order than they are
shown in: a picture can be predicted from one that is shown later. So a picture waits until those
decoded before it have been seen, and is judged by its number in decoding order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

# FFmpeg's AVPictureType.
_PREDICTED, BOTH_WAYS = 2, 3
_MOST_FAULTS = 256
REORDER = 16  # no codec reorders more pictures than that


@dataclass(slots=True)
class Sent:
    """What is known of a packet that was given to the decoder.

    Attributes:
        order: its number in decoding order.
        stamp: its time stamp in the stream's time base, that of decoding where there is no other.
        sample_aspect_ratio: of its picture.
        resolution: that ratio is one of pixels per length: the other way round.
        tag: orientation by EXIF, None without.
        clean_since: number of the packet with which a refresh of the picture began that is
            complete with this one, None if it ends none.
    """

    order: int
    stamp: int | None
    sample_aspect_ratio: Fraction | None = None
    resolution: bool = False
    tag: int | None = None
    clean_since: int | None = None


@dataclass(slots=True)
class Shown:
    """A decoded frame of PyAV, its packet, and whether it shows damage."""

    frame: Any
    sent: Sent
    damaged: bool = False


@dataclass(slots=True)
class DamageTracker:
    """Judges the frames of one pass; frames go in and come out in the order they are shown in.

    Attributes:
        intra_only: every picture stands for itself.
        wait: hold a picture until those decoded before it have been shown. Without, no picture is
            late, and one predicted from a later one is not known to be damaged.
        trusted_start: the decoder itself keeps back what it cannot decode at the beginning.
    """

    intra_only: bool
    wait: bool = True
    trusted_start: bool = False
    _faults: list[float] = field(default_factory=list)
    _pending: set[int] = field(default_factory=set)
    _held: list[Shown] = field(default_factory=list)
    _begun: bool = False
    _refreshing: int | None = None

    def sent(self, order: int) -> None:
        """A packet goes into the decoder."""
        self._pending.add(order)

    def lost(self, order: float) -> None:
        """A packet gave no picture, or one that is not to be trusted; between two: a half."""
        self._pending.discard(int(order))
        self._fault(order)

    def judged(self, frames: Iterable[Shown]) -> Iterator[Shown]:
        """The frames that can be judged now that these have come."""
        for shown in frames:
            self._pending.discard(shown.sent.order)
            if shown.frame.is_corrupt:
                self._fault(shown.sent.order)
            self._held.append(shown)
            far = shown.sent.order - REORDER
            if self._pending and min(self._pending) < far:  # it gave no picture and will not
                self._pending = {order for order in self._pending if order >= far}
            while self._held and not self._must_wait(self._held[0]):
                yield self._judge(self._held.pop(0))

    def rest(self) -> Iterator[Shown]:
        """The frames that still wait, at the end."""
        while self._held:
            yield self._judge(self._held.pop(0))

    def _fault(self, order: float) -> None:
        self._faults.append(order)
        if len(self._faults) > _MOST_FAULTS:  # without a key frame; those between change nothing
            del self._faults[1 : _MOST_FAULTS // 2]

    def _must_wait(self, shown: Shown) -> bool:
        return (
            self.wait
            and not self.intra_only
            and shown.frame.pict_type == BOTH_WAYS
            and len(self._held) <= REORDER
            and any(order < shown.sent.order for order in self._pending)
        )

    def _judge(self, shown: Shown) -> Shown:
        order, kind = shown.sent.order, shown.frame.pict_type
        if self.intra_only:
            shown.damaged = order in self._faults
            self._faults = [f for f in self._faults if f > order]
            return shown
        if not self._begun:
            self._begun = True
            headless = kind in (_PREDICTED, BOTH_WAYS) and not shown.frame.key_frame
            if headless and not self.trusted_start:
                self._fault(order)
        if shown.frame.key_frame:
            self._begin_anew(order, gradual=kind == _PREDICTED)
        since = shown.sent.clean_since
        if since is not None:
            self._faults = [fault for fault in self._faults if fault >= since]
        shown.damaged = any(fault <= order for fault in self._faults)
        return shown

    def _begin_anew(self, order: int, *, gradual: bool) -> None:
        """Forget the faults that a key frame ends.

        A key frame that is predicted itself begins a refresh of the picture bit by bit, which is
        complete when the next one begins: it ends what was wrong before the one before it.
        """
        before = self._refreshing if gradual else order
        if before is not None:
            self._faults = [fault for fault in self._faults if fault >= before]
        self._refreshing = order if gradual else None
