"""Host frame to host result: what a caller of `Stream.tick` waits, p50 and p99."""

from __future__ import annotations

import time

from gpu import networks
from gpu.networks import Target
from gpu.record import Record, program
from gpu.timing import percentiles

CASES = (
    ("par_inception", "layers"),
    ("par_inception", 10),
    ("par_densenet", "layers"),
    ("par_densenet", 14),
)
DRY_CASES = (("par_inception", 3),)
WARM, TICKS, DRY_TICKS = 50, 1000, 3


def measure(record: Record, where: Target, name: str, stages: int | str) -> None:
    net = networks.net(name, stages, where)
    stream = net.compile(where, where.dtypes[0]).stream()
    frames = networks.frames_of(where)
    us = []
    for t in range((WARM + TICKS) if where.real else DRY_TICKS):
        begin = time.perf_counter()
        stream.tick(frames[t % len(frames)])
        us.append(1e6 * (time.perf_counter() - begin))
    us = us[WARM:] if where.real else us
    record.add(
        net=net.label, dtype=where.dtypes[0], ticks=len(us), **percentiles(us), max_us=max(us)
    )


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    record.note("uint8 frame on the host to float32 result on the host, one tick at a time")
    for name, stages in DRY_CASES if dry else CASES:
        measure(record, where, name, stages)


if __name__ == "__main__":
    program("latency", body)
