"""What an mp4 needs behind FFmpeg: a rest that plays after an error, no leftovers at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pvnet.video.av_import import broken
from pvnet.video.part_file import PartFile

_BOXED = {"mp4", "mov"}
_SEARCHED = 1024  # bytes from the beginning of the data


def cut_broken_end(file: PartFile, muxer: str) -> None:
    """Cut an mp4 behind its last complete fragment, which half a one would make unreadable.

    Other containers are read up to where they break off.
    """
    if muxer not in _BOXED:
        return
    whole = 0
    for kind, offset, _, length in _boxes(file, 0, file.size_bytes()):
        if kind != b"moof":  # of no use without the pictures behind it
            whole = offset + length
    file.cut(whole)


def blank_header(file: PartFile, muxer: str) -> None:
    """Blank the header of the fragments, which is dead data in an mp4 that was closed well."""
    if muxer not in _BOXED or file.direct:
        return
    for kind, offset, head, _ in _boxes(file, 0, file.size_bytes()):
        if kind != b"mdat":
            continue
        at = file.read_at(offset, _SEARCHED).find(b"moov", head) + offset
        if at < offset + head + 4:
            return
        length = int.from_bytes(file.read_at(at - 4, 4), "big")
        if file.read_at(at + length, 4) == b"moof":  # so it is no part of a picture
            file.write_at(at, b"free" + bytes(length - 8))
        return


def _boxes(file: PartFile, offset: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, offset, bytes of the head and of all, of each complete box."""
    while offset + 8 <= end:
        data = file.read_at(offset, 16)
        head, length = 8, int.from_bytes(data[:4], "big")
        if length == 1:
            head, length = 16, int.from_bytes(data[8:16], "big")
        if length < head or offset + length > end:
            return
        yield data[4:8], offset, head, length
        offset += length


def playable(av: Any, path: Path) -> bool:
    """Whether at least the first frame can be decoded."""
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0), None) is not None
    except broken(av):
        return False
