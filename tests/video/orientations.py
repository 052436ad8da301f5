"""Pictures whose four quarters differ, in files that say how they are turned."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

COLOURS = {"A": (220, 30, 30), "B": (30, 220, 30), "C": (40, 40, 220), "D": (230, 230, 230)}
CODED = "AB/CD"
# By the EXIF standard: where row 0 and column 0 are shown (1: top and left, 2: top and right, ...).
SHOWN = {
    1: "AB/CD",
    2: "BA/DC",
    3: "DC/BA",
    4: "CD/AB",
    5: "AC/BD",
    6: "CA/DB",
    7: "DB/CA",
    8: "BD/AC",
}
# a b, c d: coded (x, y) is shown at (a x + c y, b x + d y), y downwards.
MATRIX = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def quarters(height: int = 48, width: int = 64) -> np.ndarray:
    """A red, B green over C blue, D white."""
    image = np.empty((height, width, 3), np.uint8)
    for name, rows, columns in (("A", 0, 0), ("B", 0, 1), ("C", 1, 0), ("D", 1, 1)):
        h, w = height // 2, width // 2
        image[rows * h : (rows + 1) * h, columns * w : (columns + 1) * w] = COLOURS[name]
    return image


def read_quarters(image: np.ndarray) -> str:
    """The names of the quarters, as in SHOWN."""
    h, w = image.shape[:2]
    out = ""
    for y, x in ((1, 1), (1, 3), (3, 1), (3, 3)):
        pixel = image[y * h // 4, x * w // 4].astype(int)
        out += min(COLOURS, key=lambda name: int(np.abs(pixel - COLOURS[name]).sum()))
    return f"{out[:2]}/{out[2:]}"


def encoded(codec: str, image: np.ndarray, pix_fmt: str) -> bytes:
    """One encoded image."""
    context = av.CodecContext.create(codec, "w")
    context.height, context.width = image.shape[:2]
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 25)
    if pix_fmt.startswith("yuv"):
        context.color_range = 2
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
    return b"".join(bytes(p) for p in (*context.encode(frame), *context.encode(None)))


def exif(number: int) -> bytes:
    """A TIFF structure whose only tag is the orientation."""
    entry = struct.pack(">HHIHxx", 0x0112, 3, 1, number)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def save_turned(path: Path, number: int, image: np.ndarray) -> None:
    """An image with an EXIF orientation: .jpg, .png, .webp or .tif."""
    h, w = image.shape[:2]
    if path.suffix == ".jpg":
        data = encoded("mjpeg", image, "yuvj444p")
        app1 = b"Exif\0\0" + exif(number)
        out = data[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + data[2:]
    elif path.suffix == ".png":
        data = encoded("png", image, "rgb24")
        chunk = b"eXIf" + exif(number)
        whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        out = data[:33] + whole + data[33:]
    elif path.suffix == ".webp":
        picture = encoded("libwebp", image, "yuv420p")[12:]
        head = b"VP8X" + struct.pack("<IB3x", 10, 8)
        head += (w - 1).to_bytes(3, "little") + (h - 1).to_bytes(3, "little")
        tag = exif(number)
        body = b"WEBP" + head + picture + b"EXIF" + struct.pack("<I", len(tag)) + tag
        out = b"RIFF" + struct.pack("<I", len(body)) + body
    else:
        tags = [(256, w), (257, h), (258, 8), (259, 1), (262, 2), (273, 0), (274, number)]
        tags += [(277, 3), (278, h), (279, h * w * 3)]
        begin = 8 + 2 + 12 * len(tags) + 4
        out = b"II*\0" + struct.pack("<IH", 8, len(tags))
        for tag, value in tags:
            out += struct.pack("<HHII", tag, 4, 1, begin if tag == 273 else value)
        out += struct.pack("<I", 0) + image.tobytes()
    path.write_bytes(out)


def set_matrix(path: Path, matrix: tuple[float, float, float, float]) -> None:
    """Replace the display matrix of an mp4 file by a b, c d."""
    data = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    at = data.index(upright, data.index(b"tkhd"))
    a, b, c, d = (round(65536 * n) for n in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))
