"""Frames for a network: seeded noise for measuring, and the videos people name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pvnet import video
from pvnet.errors import UnsupportedError
from pvnet.runtime import Plan
from pvnet.video import DAMAGED, Damaged, Fit, Source, SourceStats


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


def open_source(
    name: str, plan: Plan, *, fit: Fit = "stretch", damaged: Damaged = "deliver"
) -> Source:
    """The source a command line names, resized to what the plan reads.

    Args:
        name: a file, a directory of frames, a camera number, an address, or `synthetic` with or
            without options (`synthetic:seed=3,frames=100`).
        plan: compiled network with one image input.
        fit: `stretch` or `letterbox`.
        damaged: `deliver` pictures that show damage, or `skip` them.

    Raises:
        FileError: if there is no such video, or it is none.
        UnsupportedError: if the network or this installation cannot take it.
    """
    camera = name.isdigit() and not Path(name).exists()
    source = int(name) if camera else name
    return video.open(
        source, size=frame_size(plan), fit=fit, keep_original=True, damaged=damaged
    )


def add_damaged_argument(parser: Any) -> None:
    """`--damaged`, of a parser or a group."""
    parser.add_argument(
        "--damaged",
        choices=DAMAGED,
        default="deliver",
        help="pictures that show damage, up to the next key frame (default deliver)",
    )


def troubles(stats: SourceStats) -> dict[str, int]:
    """What went wrong while reading a video, as JSON documents have it."""
    return {
        "corrupt_frames": stats.corrupt,
        "damaged_frames": stats.damaged,
        "time_jumps": stats.time_jumps,
        "time_repairs": stats.time_repairs,
    }


def trouble_rows(document: dict[str, Any], damaged: Damaged) -> list[tuple[str, str]]:
    """Rows of a table for what `troubles` found."""
    done = "marked" if damaged == "deliver" else "left out"
    words = {
        "corrupt_frames": ("corrupt", "frames skipped"),
        "damaged_frames": ("damaged", f"frames {done}"),
        "time_jumps": ("time stamps", "jumps"),
        "time_repairs": ("time stamps", "replaced"),
    }
    found = ((document[key], *told) for key, told in words.items())
    return [(name, f"{n} {what}") for n, name, what in found if n]
