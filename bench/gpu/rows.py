"""1, 8 and 64 rows in one Stream, and two Streams of one Plan: ticks, frames, share of the card."""

from __future__ import annotations

import json
import threading

import numpy as np

from gpu import networks
from gpu.networks import Net, Target
from gpu.record import Record, program
from gpu.timing import Watch, alternate, ticker

CASES = (("par_inception", 10), ("par_densenet", 14), ("par_inception", 1), ("par_densenet", 1))
DRY_CASES = (("par_inception", 2),)
ROWS, DRY_ROWS = (1, 8, 64), (1, 2)
TICKS, ROUNDS = 30, 3


def matrix_rate(record: Record) -> float | None:
    """TFLOP/s that the first step has measured on this card."""
    try:
        card = json.loads(record.path.with_name("card.json").read_text())
        return float(card["rows"][0]["bf16_tflops"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def tera_flops(net: Net, frames: int, us: float) -> float:
    """Of what the network asks for: two for a multiplication with an addition."""
    return 2e-3 * net.gmac * frames / (us / 1e6)


def same_rows(net: Net, where: Target, rows: int) -> bool:
    """Whether the first and the last row give the bits that each gives alone."""
    frames = networks.frames_of(where, rows)
    ticks = net.shift + 2
    many = networks.play(net.compile(where, where.dtypes[0], batch=rows), frames, ticks)
    one = net.compile(where, where.dtypes[0])
    for row in {0, rows - 1}:
        mine = frames if rows == 1 else frames[:, row]
        if not np.array_equal(many[-1][row], networks.play(one, mine, ticks)[-1][0]):
            return False
    return True


def measure(record: Record, where: Target, net: Net, rows: int, rate: float | None) -> None:
    plan = net.compile(where, where.dtypes[0], batch=rows)
    way = ticker(plan, networks.frames_of(where, rows), real=where.real)
    ticks, rounds = (TICKS, ROUNDS) if where.real else (1, 1)
    way.us(ticks)
    us = alternate({"rows": lambda: way.us(ticks)}, rounds)["rows"]["us"]
    tflops = tera_flops(net, rows, us)
    same = same_rows(net, where, rows)
    record.add(
        net=net.label, streams=1, rows=rows, us=us, frames_per_s=1e6 * rows / us, tflops=tflops,
        share_of_card=tflops / rate if rate else None, same_bits=same, right=same,
    )  # fmt: skip


def measure_two(record: Record, where: Target, net: Net, rate: float | None) -> None:
    """Two Streams, a thread each, on cuda_streams of their own."""
    plan = net.compile(where, where.dtypes[0])
    frames = networks.frames_of(where)
    tickers = [ticker(plan, frames, real=where.real) for _ in range(2)]
    ticks = 4 * TICKS if where.real else 1
    last: list[np.ndarray | None] = [None, None]

    def work(index: int) -> None:
        if where.real:
            import torch

            with torch.cuda.stream(torch.cuda.Stream()):
                tickers[index].us(ticks)
        else:
            tickers[index].us(ticks)
        outputs = tickers[index].stream.outputs().outputs
        last[index] = np.array(next(iter(outputs.values())))

    work(0), work(1)
    watch = Watch(real=False)
    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    us = watch.stop_us() / ticks
    same = last[0] is not None and np.array_equal(last[0], last[1])
    tflops = tera_flops(net, 2, us)
    record.add(
        net=net.label, streams=2, rows=1, us=us, frames_per_s=2e6 / us, tflops=tflops,
        share_of_card=tflops / rate if rate else None, same_bits=same, right=same,
    )  # fmt: skip


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    rate = matrix_rate(record)
    record.note(f"{networks.describe(where)}; {where.dtypes[0]}; share of the measured matrix rate")
    for number, (name, stages) in enumerate(DRY_CASES if dry else CASES):
        net = networks.net(name, stages, where)
        for rows in DRY_ROWS if dry else ROWS:
            measure(record, where, net, rows, rate)
        if number < 2:
            measure_two(record, where, net, rate)


if __name__ == "__main__":
    program("rows", body)
