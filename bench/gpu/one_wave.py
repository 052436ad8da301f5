"""A few ticks of Par-Inception, every layer a stage, waves: for a profiler. Without torch."""

from __future__ import annotations

import sys

from gpu import networks

TICKS = 6


def main() -> None:
    dry = "--dry" in sys.argv
    where = networks.target(dry)
    net = networks.net("par_inception", 3 if dry else "layers", where)
    stream = net.compile(where, where.dtypes[0], "wave").stream()
    frames = networks.frames_of(where)
    for t in range(TICKS):
        stream.tick(frames[t])
    print(f"{TICKS} ticks of {net.label}")


if __name__ == "__main__":
    main()
