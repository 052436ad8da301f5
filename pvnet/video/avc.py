"""What a packet of H.264 says of what comes before it.

That is whether pictures are missing before it, where FFmpeg decodes on in silence, and whether a
refresh of the picture ends with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_SLICE, _IDR, _SEI, _SPS, _PPS = 1, 5, 6, 7, 8
_RECOVERY_POINT = 6
_HEADER_BYTES = 512
_LOST_AT_ONCE = 8
_HIGH = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


class _Bits:
    """Reads the bits of a NAL unit, without the bytes that keep it free of start codes."""

    def __init__(self, unit: bytes) -> None:
        payload = unit[:_HEADER_BYTES].replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def take(self, n: int) -> int:
        """The next n bits as a number."""
        self._left -= n
        if self._left < 0:
            raise ValueError("cut short")
        return self._value >> self._left & ((1 << n) - 1)

    def ue(self) -> int:
        """Exponential Golomb code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("no code")
        return (1 << zeros) - 1 + self.take(zeros)


@dataclass(slots=True)
class Continuity:
    """How a packet goes on from those before it.

    Attributes:
        gap: pictures that others are predicted from are missing before it.
        clean_since: order of the packet with which a refresh began that is complete with this one.
    """

    gap: bool = False
    clean_since: int | None = None


@dataclass(slots=True)
class _Sequence:
    """Of a sequence parameter set."""

    frame_bits: int
    gaps_allowed: bool
    planes: bool


@dataclass(slots=True)
class AvcWatch:
    """Follows the numbers of frames through the packets of one pass.

    Args:
        extradata: of the stream; tells how NAL units are separated.
    """

    extradata: bytes = b""
    _length_bytes: int = 0
    _sequences: dict[int, _Sequence] = field(default_factory=dict)
    _pictures: dict[int, int] = field(default_factory=dict)
    _last: int | None = None  # number of the last frame that others are predicted from
    _refreshes: list[tuple[int, int]] = field(default_factory=list)  # (begun with, complete at)

    def __post_init__(self) -> None:
        data = self.extradata
        if len(data) < 7 or data[0] != 1:
            self._note_sets(_after_start_codes(data))
            return
        self._length_bytes = (data[4] & 3) + 1
        at = 5
        for mask in (31, 255):  # sequence sets, then picture sets
            count, at = (data[at] & mask if at < len(data) else 0), at + 1
            for _ in range(count):
                length = int.from_bytes(data[at : at + 2], "big")
                self._note_sets([data[at + 2 : at + 2 + length]])
                at += 2 + length

    def follow(self, order: int, packet: bytes) -> Continuity:
        """How the next packet goes on from those before it.

        Args:
            order: its number in decoding order.
            packet: its data.
        """
        recovery: int | None = None
        try:
            for unit in self._units(packet):
                kind = unit[0] & 31
                if kind in (_SPS, _PPS):
                    self._note_sets([unit])
                elif kind == _SEI:
                    found = _recovery(unit)
                    recovery = found if recovery is None else recovery
                elif kind in (_SLICE, _IDR):
                    return self._of_slice(order, unit, recovery)
        except (ValueError, KeyError, IndexError):  # damaged; the decoder will say so
            pass
        return Continuity()

    def _of_slice(self, order: int, unit: bytes, recovery: int | None) -> Continuity:
        bits = _Bits(unit[1:])
        bits.ue()
        bits.ue()
        sequence = self._sequences[self._pictures[bits.ue()]]
        if sequence.planes:
            bits.take(2)
        number, modulus = bits.take(sequence.frame_bits), 1 << sequence.frame_bits
        out = Continuity()
        if unit[0] & 31 == _IDR:
            self._refreshes = []
        elif self._last is not None and not sequence.gaps_allowed:
            ahead = (number - self._last) % modulus
            # 0 and 1 far from the last number follow a picture that resets the count.
            out.gap = ahead > 1 and not (number < 2 and ahead > _LOST_AT_ONCE)
        if recovery is not None:
            self._refreshes.append((order, (number + recovery) % modulus))
        done = [begun for begun, complete in self._refreshes if complete == number]
        if done:
            out.clean_since = max(done)
            self._refreshes = [r for r in self._refreshes if r[1] != number]
        if unit[0] >> 5 & 3:
            self._last = number
        return out

    def _units(self, packet: bytes) -> Iterator[bytes]:
        if not self._length_bytes:
            yield from _after_start_codes(packet)
            return
        at, n = 0, self._length_bytes
        while at + n < len(packet):
            length = int.from_bytes(packet[at : at + n], "big")
            if length:
                yield packet[at + n : at + n + length]
            at += n + length

    def _note_sets(self, units: list[bytes] | Iterator[bytes]) -> None:
        for unit in units:
            try:
                if unit[0] & 31 == _SPS:
                    number, sequence = _sequence(unit)
                    self._sequences[number] = sequence
                elif unit[0] & 31 == _PPS:
                    bits = _Bits(unit[1:])
                    self._pictures[bits.ue()] = bits.ue()
            except (ValueError, IndexError):
                continue


def _after_start_codes(data: bytes) -> Iterator[bytes]:
    at = data.find(b"\0\0\1")
    while at >= 0:
        following = data.find(b"\0\0\1", at + 3)
        unit = data[at + 3 : following if following >= 0 else len(data)]
        if unit:
            yield unit
        at = following


def _sequence(unit: bytes) -> tuple[int, _Sequence]:
    """Number and content of a sequence parameter set."""
    bits = _Bits(unit[1:])
    profile = bits.take(8)
    bits.take(16)
    number = bits.ue()
    planes = False
    if profile in _HIGH:
        chroma = bits.ue()
        planes = chroma == 3 and bool(bits.take(1))
        bits.ue(), bits.ue(), bits.take(1)
        if bits.take(1):
            for k in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _pass_scaling_list(bits, 16 if k < 6 else 64)
    frame_bits = bits.ue() + 4
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()
    elif order_type == 1:
        bits.take(1)
        bits.ue(), bits.ue()
        for _ in range(min(bits.ue(), 255)):
            bits.ue()
    bits.ue()
    gaps_allowed = bool(bits.take(1))
    if frame_bits > 16:
        raise ValueError("not a sequence parameter set")
    return number, _Sequence(frame_bits, gaps_allowed, planes)


def _pass_scaling_list(bits: _Bits, n: int) -> None:
    last = following = 8
    for _ in range(n):
        if following:
            code = bits.ue()
            delta = (code + 1) // 2 if code % 2 else -(code // 2)
            following = (last + delta) % 256
        last = following or last


def _recovery(unit: bytes) -> int | None:
    """Frames until a refresh is complete, of a recovery point message; None without one."""
    at, data = 1, unit.replace(b"\0\0\3", b"\0\0")
    while at + 2 < len(data):
        sums = []
        for _ in range(2):  # kind and size are sums of bytes up to the first below 255
            total = 0
            while data[at] == 255:
                total, at = total + 255, at + 1
            sums.append(total + data[at])
            at += 1
        if sums[0] == _RECOVERY_POINT:
            return _Bits(data[at : at + sums[1]]).ue()
        at += sums[1]
    return None
