"""Frames for a network: seeded noise for measuring, and the videos people name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pvnet import video
from pvnet.cli.files import without_scheme
from pvnet.errors import UnsupportedError
from pvnet.runtime import Plan
from pvnet.video import Fit, Source


def probe_frames(plan: Plan, *, n: int, seed: int = 0) -> list[Any]:
    """Seeded noise that fits the plan's inputs: uint8 images where an input has 3 channels.

    Returns:
        n frames as Stream.tick takes them; dicts by name where there are several inputs.
    """
    rng = np.random.default_rng(seed)

    def one(shape: tuple[int, int, int]) -> Any:
        c, h, w = shape
        if c == 3:
            return rng.integers(0, 256, (h, w, c), dtype=np.uint8)
        return rng.standard_normal((c, h, w)).astype(np.float32)

    if len(plan.inputs) == 1:
        shape = next(iter(plan.inputs.values()))
        return [one(shape) for _ in range(n)]
    return [{name: one(shape) for name, shape in plan.inputs.items()} for _ in range(n)]


def frame_size(plan: Plan) -> tuple[int, int]:
    """(height, width) in pixels of the one image input of a plan.

    Raises:
        UnsupportedError: if the network has several inputs, or one that is no RGB image.
    """
    shapes = list(plan.inputs.values())
    if len(shapes) != 1 or shapes[0][0] != 3:
        raise UnsupportedError(
            f"[cli] this network does not read one RGB video: got inputs {plan.inputs}, expected "
            "one input with 3 channels. Run it from Python with pvnet.compile."
        )
    return shapes[0][1], shapes[0][2]


def may_stall(name: str) -> bool:
    """Whether a source may give nothing for a long time: cameras, addresses, pipes."""
    path = Path(without_scheme(name))
    return not (path.is_file() or path.is_dir() or name.partition(":")[0] == "synthetic")


def open_source(name: str, plan: Plan, *, fit: Fit = "stretch") -> Source:
    """The source a command line names, resized to what the plan reads.

    Args:
        name: a file, a directory of frames, a camera number, an address, or `synthetic` with or
            without options (`synthetic:seed=3,frames=100`).
        plan: compiled network with one image input.
        fit: `stretch` or `letterbox`.

    Raises:
        FileError: if there is no such video, or it is none.
        UnsupportedError: if the network or this installation cannot take it.
    """
    camera = name.isdigit() and not Path(name).exists()
    source = int(name) if camera else name
    return video.open(source, size=frame_size(plan), fit=fit, keep_original=True)
