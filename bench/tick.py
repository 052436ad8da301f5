"""Microseconds of a tick from Python whose network does nearly nothing: what every tick costs.

    python bench/tick.py [--rounds 30] [--ticks 2000]

The fastest round counts: other programs are in the others.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

import pvnet


def main() -> None:
    """One number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--ticks", type=int, default=2000, help="per round")
    args = parser.parse_args()
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=2, width=2)
    graph.output(graph.act(x, "relu", name="a"), name="y")
    stream = pvnet.compile((graph, {}), lanes=1).stream()
    frame = np.array([[[-1.0, 2.0], [3.0, -4.0]]], np.float32)
    if not np.array_equal(stream.tick(frame)["y"][0], np.maximum(frame, 0)):
        sys.exit("not what the network computes")
    best = float("inf")
    for _ in range(args.rounds):
        begin = time.perf_counter()
        for _ in range(args.ticks):
            stream.tick(frame)
        best = min(best, (time.perf_counter() - begin) / args.ticks)
    print(f"{1e6 * best:.1f} us a tick")


if __name__ == "__main__":
    main()
