"""Whether a file holds what its own head announces: a cut copy is no ordinary end.

Only what a format declares is judged. A file cut between two fragments of an MP4, between two
packets of a transport stream, or in a container of unknown length looks whole.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

_BOXES = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx"}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing_end(path: str) -> str | None:
    """What an MP4, Matroska, AVI or MPEG-TS file lacks at its end; None: nothing known."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            head = _at(file, 0, 16)
            if head[4:8] in _BOXES:
                return _boxes(file, size)
            if head[:4] == _EBML:
                return _matroska(file, size)
            if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
                return _riff(file, size)
            return _transport(file, size)
    except OSError as error:
        return f"cannot be read to its end: {error}"


def _at(file: BinaryIO, position: int, n: int) -> bytes:
    file.seek(position)
    return file.read(n)


def _short(end: int, size: int) -> str | None:
    return f"{size} bytes of {end} that it declares" if end > size else None


def _boxes(file: BinaryIO, size: int) -> str | None:
    begin = 0
    while size - begin >= 8:
        head = _at(file, begin, 16)
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8 or not kind.isalnum():  # to the end of the file, or no box at all
            return None
        begin += length
    if begin < size and any(_at(file, begin, 8)):  # zeros are padding
        return f"{size - begin} bytes of the next part's head"
    return _short(begin, size)


def _number(file: BinaryIO, position: int) -> tuple[int, int] | None:
    """A number of Matroska and the position behind it; None: it is left open."""
    first = _at(file, position, 1)
    if not first or not first[0]:
        return None
    n = 9 - first[0].bit_length()
    digits = _at(file, position, n)
    value = int.from_bytes(digits, "big") & ((1 << 7 * n) - 1)
    return None if value == (1 << 7 * n) - 1 else (value, position + n)


def _matroska(file: BinaryIO, size: int) -> str | None:
    head = _number(file, 4)
    begin = 0 if head is None else sum(head)
    if begin == 0 or _at(file, begin, 4) != _SEGMENT:
        return None
    segment = _number(file, begin + 4)
    return None if segment is None else _short(sum(segment), size)


def _riff(file: BinaryIO, size: int) -> str | None:
    begin = 0  # long files are several of them, one behind the other
    while size - begin >= 12:
        kind, length = struct.unpack("<4sI", _at(file, begin, 8))
        if kind != b"RIFF" or length == 0:  # something else, or never finished
            return None
        begin += 8 + length
    return _short(begin, size)


def _transport(file: BinaryIO, size: int) -> str | None:
    for packet, sync in ((188, 0), (192, 4)):
        marks = [_at(file, k * packet + sync, 1) for k in range(3)]
        if size > 3 * packet and marks == [b"\x47"] * 3:
            left = size % packet
            return f"{left} bytes of the last packet's {packet}" if left else None
    return None
