"""How long does drawing results over a frame take, by OpenCV and by pvnet's own code?

Both draw the same pictures first, and their largest mean difference is printed; then they are timed
in alternating order. The fastest round is the least disturbed by other programs.

    python bench/drawing.py [--size 1280x720] [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import statistics
import time

import numpy as np

from pvnet import viz
from pvnet.distribution import install
from pvnet.video.synthetic import SyntheticVideo
from pvnet.viz.shapes import own_code

LABELS = [f"action number {i}" for i in range(18)]


def scenes(width: int, height: int) -> dict:
    """What `pvnet run --out` draws over a frame, by the task of its network."""
    frame = next(SyntheticVideo(seed=3, height=height, width=width))
    rng = np.random.default_rng(0)
    heat = rng.uniform(0, 1, (13, 32, 24)).astype(np.float32) ** 4
    scores = rng.uniform(0.3, 1, 13).astype(np.float32)
    p = rng.dirichlet(np.ones(len(LABELS)))

    def words(picture: np.ndarray) -> None:
        viz.draw_label(picture, "par_densenet, 14 stages, predictive")
        viz.draw_status(picture, "tick 120  12.3 ms  valid")

    def joints(picture: np.ndarray) -> None:
        viz.draw_pose(picture, frame.joints, scores)
        words(picture)

    def actions(picture: np.ndarray) -> None:
        viz.draw_actions(picture, LABELS, p)
        words(picture)

    def heatmaps(picture: np.ndarray) -> None:
        viz.draw_heatmaps(picture, heat)
        words(picture)

    drawers = {"joints": joints, "actions": actions, "heatmaps": heatmaps}
    return {name: (frame.image, draw) for name, draw in drawers.items()}


def draw_once(image: np.ndarray, draw, how) -> tuple[np.ndarray, float]:
    """The picture, and the time of drawing alone in ms."""
    picture = image.copy()
    with how():
        begin = time.perf_counter()
        draw(picture)
        return picture, 1e3 * (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1280x720", metavar="WxH")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if importlib.util.find_spec("cv2") is None:
        parser.error(f"OpenCV is not installed. Run {install('opencv')}.")
    width, height = map(int, args.size.split("x"))
    ways = (("opencv", contextlib.nullcontext), ("own code", own_code))
    rows = []
    for name, (image, draw) in scenes(width, height).items():
        first, second = (draw_once(image, draw, how)[0] for _, how in ways)
        difference = float(np.abs(first.astype(int) - second).mean())
        times: dict[str, list[float]] = {way: [] for way, _ in ways}
        for number in range(args.rounds):
            for way, how in ways if number % 2 == 0 else reversed(ways):
                times[way].append(draw_once(image, draw, how)[1])
        medians = {way: statistics.median(values) for way, values in times.items()}
        fastest = {f"{way} fastest": min(values) for way, values in times.items()}
        rows.append(
            {"drawn": name, "size": args.size, "mean_difference": difference, **medians, **fastest}
        )
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"ms a frame of {args.size}, {args.rounds} rounds in alternating order: median (fastest)")
    for row in rows:
        ways_ms = "  ".join(f"{w} {row[w]:6.2f} ({row[f'{w} fastest']:6.2f})" for w, _ in ways)
        print(f"{row['drawn']:10} {ways_ms}  mean difference {row['mean_difference']:.3f} of 255")


if __name__ == "__main__":
    main()
