from __future__ import annotations

import re

import numpy as np
import pytest

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)


def refused(kind, function, *args, **kwargs):
    """The message of the error that the call must raise, checked for its form."""
    with pytest.raises(kind) as caught:
        function(*args, **kwargs)
    assert MESSAGE.match(str(caught.value)), str(caught.value)
    return str(caught.value)


def grey_frames(n: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frame k is grey of level 20 + 10 k, with a white block in the upper left quarter."""
    out = []
    for k in range(n):
        image = np.full((height, width, 3), min(20 + 10 * k, 250), np.uint8)
        image[: height // 2, : width // 2] = 255
        out.append(image)
    return out
