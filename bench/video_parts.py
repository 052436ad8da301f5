"""What do reading, drawing and encoding take beside the ticks, each in ms of CPU a frame?

    python bench/video_parts.py [VIDEO] [--frames 100] [--rounds 5] [--json]

Each part runs alone on the same frames, in turns; the fastest round is the least disturbed by
other programs. `over RGB` is the way of pictures that are not of the usual kind, see `Planes`.
Without a video it makes one of 1280 x 544.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from run_video import make_video

from pvnet import video, viz
from pvnet.report import table
from pvnet.video.planes import Planes

NETWORK = (192, 192)


def read(path: Path, n: int, keep: Any) -> list[video.Frame]:
    """The first frames, as a network and the pictures for people take them."""
    with video.open(path, size=NETWORK, fit="letterbox", keep_original=keep) as source:
        return list(islice(source, n))


def joints_of(shape: tuple[int, ...]) -> np.ndarray:
    """Somebody who fills most of the picture's height."""
    figure = next(iter(video.synthetic.SyntheticVideo(3, 100, 100))).joints
    low, high = figure.min(axis=0), figure.max(axis=0)
    upright = (figure - low) / (high - low)
    return upright * [0.3 * shape[0], 0.8 * shape[0]] + [0.4 * shape[1], 0.1 * shape[0]]


def draw(picture: Any, joints: np.ndarray, number: int) -> None:
    """A pose and two lines of text."""
    viz.draw_pose(picture, joints, np.linspace(0.4, 1, 13))
    viz.draw_label(picture, "movenet predictive 4")
    viz.draw_status(picture, f"tick {number}  12.3 ms")


def encode(pictures: list[Any], path: Path) -> None:
    """As `pvnet run --out` does."""
    like = pictures[0] if isinstance(pictures[0], Planes) else None
    size = pictures[0].shape[:2]
    with video.VideoWriter(path, 25.0, size=size, fast=True, like=like) as writer:
        for picture in pictures:
            writer.write(picture)


def parts(path: Path, n: int, folder: Path) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    frames = read(path, n, "planes")
    if frames[0].planes is None:
        raise SystemExit(f"{path}: its pictures are not 8-bit YUV 4:2:0 in limited range")
    planes = [frame.planes.copy() for frame in frames]
    rgb = [frame.planes.rgb() for frame in frames]
    joints = joints_of(planes[0].shape)

    def drawn(pictures: list[Any]) -> None:
        for number, picture in enumerate(pictures):
            draw(picture.copy(), joints, number)

    return {
        "read for the network": lambda: read(path, n, False),
        "read and keep": lambda: read(path, n, "planes"),
        "read and keep, over RGB": lambda: read(path, n, True),
        "copy and draw": lambda: drawn(planes),
        "copy and draw, over RGB": lambda: drawn(rgb),
        "encode": lambda: encode(planes, folder / "planes.mp4"),
        "encode, over RGB": lambda: encode(rgb, folder / "rgb.mp4"),
    }


def main() -> None:
    """Times all parts in turns, prints the fastest round of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.video or make_video(Path(folder, "in.mp4"), args.frames)
        works = parts(path, args.frames, Path(folder))
        times: dict[str, list[float]] = {name: [] for name in works}
        for number in range(args.rounds):
            for name, work in list(works.items())[:: 1 if number % 2 == 0 else -1]:
                begin = time.process_time()
                work()
                times[name].append(1e3 * (time.process_time() - begin) / args.frames)
    rows = [{"part": name, "cpu_ms_per_frame": min(found)} for name, found in times.items()]
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    print(table(("part", "CPU, ms a frame"), [(r["part"], r["cpu_ms_per_frame"]) for r in rows]))


if __name__ == "__main__":
    main()
