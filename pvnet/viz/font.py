"""A small bitmap font, 5 x 7 pixels with two rows below for tails; ASCII 32 to 126."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.viz.shapes import stamp

GLYPH_WIDTH, GLYPH_HEIGHT, ADVANCE = 5, 9, 6

# One glyph a line: the character, then rows from the top as hexadecimal 5-bit masks (16 = left).
_GLYPHS = """
! 04 04 04 04 04 00 04
" 0A 0A 0A 00 00 00 00
# 0A 0A 1F 0A 1F 0A 0A
$ 04 0F 14 0E 05 1E 04
% 18 19 02 04 08 13 03
& 0C 12 14 08 15 12 0D
' 04 04 08 00 00 00 00
( 02 04 08 08 08 04 02
) 08 04 02 02 02 04 08
* 00 04 15 0E 15 04 00
+ 00 04 04 1F 04 04 00
, 00 00 00 00 00 0C 04 08
- 00 00 00 1F 00 00 00
. 00 00 00 00 00 0C 0C
/ 01 01 02 04 08 10 10
0 0E 11 13 15 19 11 0E
1 04 0C 04 04 04 04 0E
2 0E 11 01 02 04 08 1F
3 1F 02 04 02 01 11 0E
4 02 06 0A 12 1F 02 02
5 1F 10 1E 01 01 11 0E
6 06 08 10 1E 11 11 0E
7 1F 01 02 04 08 08 08
8 0E 11 11 0E 11 11 0E
9 0E 11 11 0F 01 02 0C
: 00 0C 0C 00 0C 0C 00
; 00 0C 0C 00 0C 04 08
< 02 04 08 10 08 04 02
= 00 00 1F 00 1F 00 00
> 08 04 02 01 02 04 08
? 0E 11 01 02 04 00 04
@ 0E 11 17 15 17 10 0E
A 0E 11 11 1F 11 11 11
B 1E 11 11 1E 11 11 1E
C 0E 11 10 10 10 11 0E
D 1C 12 11 11 11 12 1C
E 1F 10 10 1E 10 10 1F
F 1F 10 10 1E 10 10 10
G 0E 11 10 17 11 11 0F
H 11 11 11 1F 11 11 11
I 0E 04 04 04 04 04 0E
J 07 02 02 02 02 12 0C
K 11 12 14 18 14 12 11
L 10 10 10 10 10 10 1F
M 11 1B 15 15 11 11 11
N 11 19 19 15 13 13 11
O 0E 11 11 11 11 11 0E
P 1E 11 11 1E 10 10 10
Q 0E 11 11 11 15 12 0D
R 1E 11 11 1E 14 12 11
S 0F 10 10 0E 01 01 1E
T 1F 04 04 04 04 04 04
U 11 11 11 11 11 11 0E
V 11 11 11 11 0A 0A 04
W 11 11 11 15 15 1B 11
X 11 11 0A 04 0A 11 11
Y 11 11 0A 04 04 04 04
Z 1F 01 02 04 08 10 1F
[ 0E 08 08 08 08 08 0E
\\ 10 10 08 04 02 01 01
] 0E 02 02 02 02 02 0E
^ 04 0A 11 00 00 00 00
_ 00 00 00 00 00 00 00 1F
` 08 04 02 00 00 00 00
a 00 00 0E 01 0F 11 0F
b 10 10 1E 11 11 11 1E
c 00 00 0E 11 10 11 0E
d 01 01 0F 11 11 11 0F
e 00 00 0E 11 1F 10 0E
f 06 09 08 1C 08 08 08
g 00 00 0F 11 11 11 0F 01 0E
h 10 10 16 19 11 11 11
i 04 00 0C 04 04 04 0E
j 02 00 06 02 02 02 02 12 0C
k 10 10 12 14 18 14 12
l 0C 04 04 04 04 04 0E
m 00 00 1A 15 15 15 15
n 00 00 16 19 11 11 11
o 00 00 0E 11 11 11 0E
p 00 00 1E 11 11 11 1E 10 10
q 00 00 0F 11 11 11 0F 01 01
r 00 00 16 19 10 10 10
s 00 00 0F 10 0E 01 1E
t 08 08 1C 08 08 09 06
u 00 00 11 11 11 13 0D
v 00 00 11 11 0A 0A 04
w 00 00 11 11 15 15 0A
x 00 00 11 0A 04 0A 11
y 00 00 11 11 11 11 0F 01 0E
z 00 00 1F 02 04 08 1F
{ 02 04 04 08 04 04 02
| 04 04 04 04 04 04 04
} 08 04 04 02 04 04 08
~ 00 00 08 15 02 00 00
"""


@lru_cache(maxsize=1)
def _table() -> NDArray[np.float32]:
    """[128, 9, 5] float32, 1 where a glyph has ink; a box for characters without one."""
    table = np.zeros((128, GLYPH_HEIGHT, GLYPH_WIDTH), np.float32)
    table[:, :7] = 1.0
    table[:, 1:6, 1:4] = 0.0
    table[32] = 0.0
    for line in _GLYPHS.strip().splitlines():
        glyph = table[ord(line[0])]
        glyph[:] = 0.0
        for y, row in enumerate(line[2:].split()):
            for x in range(GLYPH_WIDTH):
                glyph[y, x] = int(row, 16) >> (GLYPH_WIDTH - 1 - x) & 1
    return table


def text_size(text: str, *, scale: int = 1) -> tuple[int, int]:
    """(h, w) in pixels of one line of text."""
    return GLYPH_HEIGHT * scale, max(0, len(text) * ADVANCE - 1) * scale


def text_mask(text: str, *, scale: int = 1) -> NDArray[np.float32]:
    """Ink [h, w] float32 in 0..1 of one line of text; do not change it."""
    return _enlarged(_ink(text), scale).astype(np.float32)


def _ink(text: str) -> NDArray[np.uint8]:
    """1 where one line of text has ink, at scale 1."""
    codes = [ord(c) if ord(c) < 128 else 127 for c in text]
    cells = _cells()[codes].transpose(1, 0, 2)
    return cells.reshape(GLYPH_HEIGHT, -1)[:, : max(0, len(text) * ADVANCE - 1)]


@lru_cache(maxsize=1)
def _cells() -> NDArray[np.uint8]:
    """[128, 9, 6]: the glyphs, each with the gap behind it."""
    gap = ((0, 0), (0, 0), (0, ADVANCE - GLYPH_WIDTH))
    return np.pad(_table().astype(np.uint8), gap)


def _enlarged(mask: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return np.repeat(np.repeat(mask, scale, 0), scale, 1)


def draw_text(
    image: NDArray[Any],
    text: str,
    *,
    at: tuple[int, int],
    color: tuple[float, ...] = (255, 255, 255),
    scale: int = 1,
    shadow: float = 0.65,
    opacity: float = 1.0,
    rim: tuple[float, ...] = (8, 10, 14),
) -> None:
    """Write one line of text into an image, in place; what is outside is cut off.

    Args:
        image: [h, w, 3] uint8 or float32 in 0..255.
        text: ASCII; other characters become boxes.
        at: (x, y) of the upper left corner in pixels.
        color: RGB, 0..255.
        scale: pixels per font pixel.
        shadow: opacity of a dark rim that keeps text readable on any picture; 0 for none.
        opacity: of the text.
        rim: its colour.
    """
    if not text:
        return
    mask, around = _masks(text, scale)
    if shadow > 0:
        stamp(image, around, at[0] - scale, at[1] - scale, color=rim, opacity=shadow)
    stamp(image, mask, at[0], at[1], color=color, opacity=opacity)


@lru_cache(maxsize=256)
def _masks(text: str, scale: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Ink and the rim around it, wider by `scale` on every side; 255 where there is some."""
    mask = _ink(text) * np.uint8(255)
    rows = np.zeros((mask.shape[0] + 2, mask.shape[1]), np.uint8)
    for dy in (0, 1, 2):
        np.maximum(rows[dy : dy + mask.shape[0]], mask, out=rows[dy : dy + mask.shape[0]])
    wide = np.zeros((rows.shape[0], rows.shape[1] + 2), np.uint8)
    for dx in (0, 1, 2):
        np.maximum(wide[:, dx : dx + rows.shape[1]], rows, out=wide[:, dx : dx + rows.shape[1]])
    return _enlarged(mask, scale), _enlarged(wide, scale)
