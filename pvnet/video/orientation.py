"""The eight ways a coded picture may have to be turned before it is shown.

Named by their numbers in EXIF, which display matrices of containers are translated to:

1 upright, 2 mirrored left to right, 3 turned by 180 degrees, 4 mirrored top to bottom,
5 transposed, 6 turned clockwise, 7 transposed the other way, 8 turned counter-clockwise.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
# Number: (rows and columns are exchanged, then rows are reversed, then columns are reversed).
_STEPS: dict[int, tuple[bool, bool, bool]] = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_NUMBER = {steps: number for number, steps in _STEPS.items()}
_TURNS = (1, 8, 3, 6)  # by quarter turns counter-clockwise
_OFF_AXIS = 0.02  # of the main part: rounding of a 16.16 matrix is far below, 2 degrees above


def sideways(orientation: int) -> bool:
    """Whether width and height are exchanged."""
    return _STEPS[orientation][0]


def turned(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The coded picture [h, w, 3] as it is shown, contiguous."""
    if orientation == UPRIGHT:
        return np.ascontiguousarray(image)
    swap, rows, columns = _STEPS[orientation]
    out = image.swapaxes(0, 1) if swap else image
    out = out[:: -1 if rows else 1, :: -1 if columns else 1]
    return np.ascontiguousarray(out)


def of_matrix(matrix: tuple[int, ...]) -> tuple[int, str]:
    """The orientation nearest to a display matrix.

    Args:
        matrix: nine numbers a b u, c d v, x y w: coded (p, q) is shown at (a p + c q, b p + d q).

    Returns:
        Its number, and what is odd about the matrix ("" for one of the eight).
    """
    a, b, _, c, d = matrix[:5]
    swap = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if swap else (a, d)
    if across == 0 or down == 0:
        return UPRIGHT, "a display matrix that shows nothing, ignored"
    number = _NUMBER[(swap, down < 0, across < 0)]
    rest = abs(a) + abs(d) if swap else abs(b) + abs(c)
    if rest > _OFF_AXIS * (abs(across) + abs(down)):
        return number, f"a display matrix between right angles, orientation {number} taken"
    return number, ""


def of_frame(frame: Any, tag: int | None) -> tuple[int, str]:
    """`of_matrix` of a frame of PyAV, or what its EXIF data says.

    Args:
        frame: decoded.
        tag: orientation by EXIF, None without.
    """
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data of a kind that this PyAV does not know: none can be read
        if tag is None:
            return _TURNS[round(frame.rotation / 90) % 4], ""
        data = None
    if tag is not None:
        return (tag, "") if tag in _STEPS else (UPRIGHT, f"EXIF orientation {tag}, ignored")
    if data is None:
        return UPRIGHT, ""
    return of_matrix(struct.unpack("=9i", bytes(data)[:36]))
