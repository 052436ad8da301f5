"""Facts of JPEG, PNG, WebP and TIFF images that FFmpeg or PyAV does not hand on.

FFmpeg hands on the orientation in some versions, for some of these, and PyAV loses whether it
mirrors. FFmpeg also takes pixels per metre for the shape of a pixel, which is the other way round.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

_ORIENTATION = 0x0112
_MAX_TAGS = 4096


def orientation_tag(codec: str, data: bytes | memoryview) -> int | None:
    """The number in the EXIF data of an encoded image, None without one.

    Args:
        codec: FFmpeg's name: mjpeg, png, webp or tiff; others have none.
        data: the encoded image.
    """
    find = _FINDERS.get(codec)
    if find is None:
        return None
    try:
        for block in find(memoryview(data)):
            number = _of_tiff(block)
            if number is not None:
                return number
    except (struct.error, IndexError):  # cut short or nonsense: no tag
        pass
    return None


def has_resolution(codec: str, data: bytes | memoryview) -> bool:
    """Whether a JPEG or PNG image gives the pixels of a length, not the shape of a pixel.

    Args:
        codec: FFmpeg's name.
        data: the encoded image.
    """
    view = memoryview(data)
    try:
        if codec == "mjpeg":
            head = bytes(view[2:4]) + bytes(view[6:11])
            return head == b"\xff\xe0JFIF\0" and view[13] > 0
        if codec == "png":
            return any(block[8] == 1 for block in _png_chunks(view, b"pHYs"))
    except (struct.error, IndexError):
        pass
    return False


def _of_tiff(data: memoryview) -> int | None:
    """The tag in the first directory of a TIFF structure."""
    if bytes(data[:6]) == b"Exif\0\0":
        data = data[6:]
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None:
        return None
    at = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, at)[0]
    for k in range(min(count, _MAX_TAGS)):
        tag, kind, n = struct.unpack_from(order + "HHI", data, at + 2 + 12 * k)
        if tag == _ORIENTATION and n == 1 and kind in (3, 4):
            field = at + 2 + 12 * k + 8
            number: int = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, field)[0]
            return number
    return None


def _in_jpeg(data: memoryview) -> Iterator[memoryview]:
    """The APP1 segments before the picture."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        length = struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xE1:
            yield data[at + 4 : at + 2 + length]
        at += 2 + length


def _in_png(data: memoryview) -> Iterator[memoryview]:
    return _png_chunks(data, b"eXIf")


def _png_chunks(data: memoryview, wanted: bytes) -> Iterator[memoryview]:
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == wanted:
            yield data[at + 8 : at + 8 + length]
        at += 12 + length


def _in_webp(data: memoryview) -> Iterator[memoryview]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            yield data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _in_tiff(data: memoryview) -> Iterator[memoryview]:
    yield data


_FINDERS: dict[str, Callable[[memoryview], Iterator[memoryview]]] = {
    "mjpeg": _in_jpeg,
    "png": _in_png,
    "webp": _in_webp,
    "tiff": _in_tiff,
}
