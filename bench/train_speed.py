"""Training steps of the torch twin against the same network written plainly with torch.nn.

    python bench/train_speed.py [--models par_densenet par_inception] [--precision f32 bf16]
        [--device cuda] [--batch 4] [--ticks 16] [--json]

A step is forward, backward and AdamW. Both sides have the same weights (bench/torch_modules.py) and
clips, each in the layout it likes (channels last). Outputs, gradients and running statistics are
compared in float64 before anything is timed; then steps run in alternating order (A B, B A, ...),
and medians are reported. Peak memory is that of a process which trains one side alone: what becomes
resident after the imports on the CPU, `torch.cuda.max_memory_allocated` on CUDA.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pvnet import models
from pvnet.graph import Graph
from pvnet.nn import Network
from pvnet.report import plain, table
from pvnet.runtime.machine import cpus_allowed, machine_record, peak_gflops
from pvnet.train.build import to_device
from pvnet.train.config_sections import OptimiserConfig
from pvnet.train.optimiser import make_optimiser

sys.path.insert(0, str(Path(__file__).parent))
from torch_modules import PLAIN, as_plain, copy_weights, pairs

SIDES = ("twin", "plain")
# Float64 sums in another order; a wrong tap, channel or statistic is orders of magnitude above.
TOLERANCE = 1e-8
CHECK_CLIPS, CHECK_TICKS = 2, 4
PEAK_STEPS = 3
PASSES = 3  # a backward pass costs two forward passes


class Side:
    """One network with its optimiser, clip and target, in the layout it likes."""

    def __init__(self, name: str, side: str, net: nn.Module, clip: Tensor, target: Tensor) -> None:
        self.side = side
        if side == "twin":
            self.net = to_device(net, clip.device, channels_last=True)
            self.clip = clip.contiguous(memory_format=torch.channels_last_3d)
            self.target = target
        else:
            clip, self.target = as_plain(name, clip), as_plain(name, target)
            layout = torch.channels_last if clip.dim() == 4 else torch.channels_last_3d
            self.net = net.to(clip.device).to(memory_format=layout)
            self.clip = clip.contiguous(memory_format=layout)
        self.optimiser = make_optimiser(self.net, OptimiserConfig())

    def outputs(self) -> Tensor:
        """Of the whole clip."""
        y = self.net(self.clip)
        return next(iter(y.values())) if self.side == "twin" else y

    def gradients(self, precision: str) -> None:
        """Forward and backward."""
        self.optimiser.zero_grad(set_to_none=True)
        bf16 = precision == "bf16"
        with torch.autocast(self.clip.device.type, torch.bfloat16, enabled=bf16):
            y = self.outputs()
        (y.to(self.target.dtype) - self.target).square().mean().backward()

    def step(self, precision: str) -> None:
        """One step of training."""
        self.gradients(precision)
        self.optimiser.step()


def make_side(
    name: str, side: str, args: argparse.Namespace, *, batch: int, ticks: int, dtype: torch.dtype
) -> Side:
    """The same weights, clip and target on every call."""
    torch.manual_seed(0)
    twin = Network(make_graph(name, args)).to(dtype)
    net: nn.Module = twin
    if side == "plain":
        net = PLAIN[name](width=args.width).to(dtype)
        copy_weights(twin, net)
    generator = torch.Generator().manual_seed(0)
    c, h, w = twin.graph.outputs[0].shape
    clip = torch.randn((batch, 3, ticks, *args.size), generator=generator, dtype=dtype)
    target = torch.randn((batch, c, ticks, h, w), generator=generator, dtype=dtype)
    if h == w == 1:
        target = target[..., 0, 0]
    return Side(name, side, net.train(), clip.to(args.device), target.to(args.device))


def make_graph(name: str, args: argparse.Namespace) -> Graph:
    return models.build(name, width=args.width, size=args.size)


def check(name: str, args: argparse.Namespace) -> float:
    """Largest difference of outputs, gradients and statistics, relative to each one's largest."""
    sizes = {"batch": CHECK_CLIPS, "ticks": CHECK_TICKS, "dtype": torch.float64}
    twin, other = (make_side(name, side, args, **sizes) for side in SIDES)
    with torch.no_grad():
        values = [("outputs", as_plain(name, twin.outputs()), other.outputs())]
    for side in (twin, other):
        side.gradients("f64")
    values += [(key, p.grad, q.grad) for key, p, q in pairs(twin.net, other.net)]
    statistics_of = [
        [b for b in side.net.buffers() if b.is_floating_point()] for side in (twin, other)
    ]
    values += [("running statistics", a, b) for a, b in zip(*statistics_of, strict=True)]
    worst = 0.0
    for key, a, b in values:
        difference = float((a.reshape(b.shape) - b).abs().max() / b.abs().max())
        if not difference <= TOLERANCE:
            sys.exit(f"{name}: {key} of the twin and of plain torch differ by {difference:.1e}")
        worst = max(worst, difference)
    return worst


def time_steps(name: str, precision: str, args: argparse.Namespace) -> dict[str, float]:
    """Median seconds per step of both sides."""
    clock = time.process_time if args.processor_time else time.perf_counter
    sizes = {"batch": args.batch, "ticks": args.ticks, "dtype": torch.float32}
    sides = {side: make_side(name, side, args, **sizes) for side in SIDES}
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(-1, args.rounds):  # the first round warms up
        for key in SIDES if number % 2 == 0 else reversed(SIDES):
            wait(args)
            begin = clock()
            for _ in range(args.steps):
                sides[key].step(precision)
            wait(args)
            if number >= 0:
                times[key].append((clock() - begin) / args.steps)
    return {key: statistics.median(values) for key, values in times.items()}


def wait(args: argparse.Namespace) -> None:
    """Until the device has done what it was given."""
    if args.device.startswith("cuda"):
        torch.cuda.synchronize()


def peak_of(name: str, precision: str, side: str, args: argparse.Namespace) -> float:
    """MiB of a process of its own that trains one side."""
    command = [sys.executable, __file__, "--peak-of", side, "--models", name]
    command += ["--precision", precision, "--device", args.device, "--width", str(args.width)]
    command += ["--size", *map(str, args.size), "--threads", str(args.threads)]
    command += ["--batch", str(args.batch), "--ticks", str(args.ticks)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def measure_peak(args: argparse.Namespace) -> float:
    """What `--peak-of` prints, MiB: of weights, clip, activations, gradients and workspaces."""
    before = resident_mib("VmRSS")
    sizes = {"batch": args.batch, "ticks": args.ticks, "dtype": torch.float32}
    side = make_side(args.models[0], args.peak_of, args, **sizes)
    for _ in range(PEAK_STEPS):
        side.step(args.precision[0])
    if args.device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    return resident_mib("VmHWM") - before


def resident_mib(field: str) -> float:
    """Resident memory of this program, as Linux counts it (ru_maxrss counts the parent's too)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 2**10


def measure(name: str, precision: str, args: argparse.Namespace) -> dict[str, Any]:
    """A row of the table."""
    seconds = time_steps(name, precision, args)
    peaks = {side: peak_of(name, precision, side, args) for side in SIDES}
    macs = sum(node.macs for node in make_graph(name, args).nodes)
    gflop = 2e-9 * PASSES * macs * args.batch * args.ticks
    return {
        "model": name,
        "precision": precision,
        "twin_clips_per_s": args.batch / seconds["twin"],
        "plain_clips_per_s": args.batch / seconds["plain"],
        "speed_ratio": seconds["plain"] / seconds["twin"],
        "twin_gflops": gflop / seconds["twin"],
        "twin_peak_mib": peaks["twin"],
        "plain_peak_mib": peaks["plain"],
        "memory_ratio": peaks["twin"] / peaks["plain"],
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(PLAIN), default=list(PLAIN))
    parser.add_argument("--precision", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=cpus_allowed(), help="of the CPU")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--size", nargs=2, type=int, default=[96, 128], metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=4, help="clips per step")
    parser.add_argument("--ticks", type=int, default=16, help="frames per clip")
    parser.add_argument("--steps", type=int, default=1, help="per round and side")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument(
        "--processor-time", action="store_true", help="for a busy machine: with --threads 1"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak-of", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    if args.peak_of:
        print(measure_peak(args))
        return
    peak = peak_gflops()
    rows, worst = [], {}
    for name in args.models:
        worst[name] = check(name, args)
        for precision in args.precision:
            rows.append(measure(name, precision, args))
            ratios = f"speed {rows[-1]['speed_ratio']:.3f}, memory {rows[-1]['memory_ratio']:.2f}"
            print(f"{name} {precision}: {ratios} of plain torch", file=sys.stderr, flush=True)
    cuda = args.device.startswith("cuda")
    record = {
        "command": "bench/train_speed.py",
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        **{key: getattr(args, key) for key in (
            "threads", "width", "size", "batch", "ticks", "steps", "rounds"
        )},
        "max_relative_difference_f64": worst,
        "peak": peak,
        "rows": rows,
        "machine": machine_record(),
    }  # fmt: skip
    if args.json:
        print(json.dumps(plain(record), indent=1))
        return
    header = ("model", "precision", "twin clips/s", "plain clips/s", "twin / plain", "twin GFLOP/s",
              "twin MiB", "plain MiB", "twin / plain")  # fmt: skip
    print(table(header, [tuple(row.values()) for row in rows]))
    print(f"\npeak {peak['gflops']:.0f} GFLOP/s on {peak['threads']} CPU thread(s) "
          f"({peak['probe']}); on {record['device']}, {args.threads} thread(s); "
          f"largest difference {max(worst.values()):.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
