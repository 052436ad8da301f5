"""A kernel of one's own: compared with pvnet's oracle, swept over tile sizes, timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pvnet import workshop

KERNEL = Path(__file__).with_name("max_pool.cu")
TILES = workshop.variants(TILE_C=(8, 32, 64), TILE_W=(1, 2, 4), TILE_H=(1, 2))
TICKS, CHANNELS, HEIGHT, WIDTH = 5, 192, 28, 28
TAPS, DEPTH = 3, 4  # a ring holds what is read, and the slot that is being written


def problem() -> workshop.Problem:
    """The last tick of a clip of noise."""
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((TICKS, CHANNELS, HEIGHT, WIDTH)).astype(np.float32)
    oracle = workshop.reference(
        lambda graph, x: graph.max_pool(x, (TAPS, 3, 3), padding=(1, 1), name="pool")
    )
    ring = np.zeros((DEPTH, HEIGHT, WIDTH, CHANNELS), np.float32)
    for tick, frame in enumerate(clip):
        ring[tick % DEPTH] = frame.transpose(1, 2, 0)  # channels last, as pvnet's maps lie
    numbers = [np.int32(n) for n in (HEIGHT, WIDTH, CHANNELS, DEPTH, TAPS, TICKS - 1)]
    return workshop.Problem([ring, *numbers], oracle(clip)[-1].transpose(1, 2, 0), tolerance=0.0)


def launch(tile: dict[str, int]) -> workshop.Launch:
    """A thread an output: channels, then columns, then rows."""
    block = tuple(tile[name] for name in ("TILE_C", "TILE_W", "TILE_H"))
    grid = tuple(-(-n // b) for n, b in zip((CHANNELS, WIDTH, HEIGHT), block, strict=True))
    return workshop.Launch(grid, block)


def main() -> None:
    """Sweeps all variants."""
    print(workshop.results(workshop.sweep(KERNEL, "max_pool", problem(), TILES, launch)))


if __name__ == "__main__":
    main()
