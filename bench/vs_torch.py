"""pvnet's CPU runtime against torch eager on the same weights, frames and number of threads.

    python bench/vs_torch.py [--models par_densenet par_inception] [--threads 1 2] [--width 1.0]

Three ways to run each network, timed in alternating order (A B C, C B A, ...), medians reported:
* pvnet: `stream.tick`, one frame per call;
* torch eager per frame: channels_last, batch norm folded, explicit state (bench/torch_eager.py);
* torch twin: `pvnet.nn.Network` in eval mode on a clip of 16 frames, channels_last_3d, per frame.
The results of all three are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

import pvnet
from pvnet import models
from pvnet.models.random_weights import random_weights
from pvnet.nn import Network
from pvnet.report import plain, table
from pvnet.runtime.machine import cpus_allowed, machine_record

sys.path.insert(0, str(Path(__file__).parent))
from torch_eager import EagerStream

CLIP_TICKS = 16
CHECK_TICKS = 6
TOLERANCE = 2e-4  # relative to the largest value: float32 sums in another order


def prepare(name: str, args: argparse.Namespace):
    graph = models.build(name, width=args.width, size=args.size)
    weights = random_weights(graph, seed=0)
    twin = Network(graph)
    twin.load_weights(weights)
    twin = twin.eval().to(memory_format=torch.channels_last_3d)
    return graph, weights, twin


def make_clip(graph: pvnet.Graph) -> torch.Tensor:
    """[1, c, t, h, w] float32, seeded."""
    c, h, w = graph.nodes[0].shape
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((1, c, CLIP_TICKS, h, w)).astype(np.float32)
    return torch.from_numpy(clip).contiguous(memory_format=torch.channels_last_3d)


def check(plan, eager: EagerStream, twin: Network, clip: torch.Tensor) -> dict[str, float]:
    """Largest difference of pvnet from each torch way, relative to the largest value."""
    name = next(iter(plan.outputs))
    stream = plan.stream()
    with torch.inference_mode():
        want = twin(clip[:, :, :CHECK_TICKS])[name]
    worst = {"eager": 0.0, "twin": 0.0}
    scale = float(want.abs().max())
    for t in range(CHECK_TICKS):
        frame = clip[:, :, t].contiguous()
        got = np.asarray(stream.tick(frame.numpy())[name]).ravel()
        for key, other in (("eager", eager.tick(frame)[name]), ("twin", want[:, :, t])):
            difference = np.abs(got - other.contiguous().numpy().ravel()).max() / scale
            worst[key] = max(worst[key], float(difference))
    for key, value in worst.items():
        if not value <= TOLERANCE:
            sys.exit(f"pvnet and torch {key} differ by {value:.2e} of the largest value")
    return worst


def time_all(plan, eager, twin, clip, *, threads: int, rounds: int) -> dict[str, float]:
    """Median milliseconds per frame of every way."""
    frames = [clip[:, :, t].contiguous() for t in range(CLIP_TICKS)]
    arrays = [frame.numpy() for frame in frames]
    stream = plan.stream()

    def run_pvnet() -> None:
        for array in arrays:
            stream.tick(array)

    def run_eager() -> None:
        for frame in frames:
            eager.tick(frame)

    @torch.inference_mode()
    def run_twin() -> None:
        twin(clip)

    ways = {"pvnet": run_pvnet, "torch eager": run_eager, "torch twin clip": run_twin}
    times: dict[str, list[float]] = {key: [] for key in ways}
    torch.set_num_threads(threads)
    for run in ways.values():
        run()
    for number in range(rounds):
        order = list(ways) if number % 2 == 0 else list(ways)[::-1]
        for key in order:
            begin = time.perf_counter()
            ways[key]()
            times[key].append(1e3 * (time.perf_counter() - begin) / CLIP_TICKS)
    return {key: statistics.median(values) for key, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["par_densenet", "par_inception"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, cpus_allowed()])
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    for name in args.models:
        graph, weights, twin = prepare(name, args)
        clip = make_clip(graph)
        for threads in sorted(set(args.threads)):
            plan = pvnet.compile((graph, weights), backend=args.backend, lanes=threads)
            torch.set_num_threads(threads)
            worst = check(plan, EagerStream(graph, weights), twin, clip)
            eager = EagerStream(graph, weights)
            ms = time_all(plan, eager, twin, clip, threads=threads, rounds=args.rounds)
            fastest = min(ms["torch eager"], ms["torch twin clip"])
            rows.append(
                {
                    "model": name,
                    "threads": threads,
                    **{f"{key.replace(' ', '_')}_ms": value for key, value in ms.items()},
                    "speed_up_over_eager": ms["torch eager"] / ms["pvnet"],
                    "speed_up_over_fastest": fastest / ms["pvnet"],
                    "max_relative_difference": max(worst.values()),
                }
            )
            print(f"{name} {threads} thread(s) done", file=sys.stderr)
    record = {
        "command": "bench/vs_torch.py",
        "torch": torch.__version__,
        "width": args.width,
        "size": args.size,
        "rounds": args.rounds,
        "rows": rows,
        "machine": machine_record(),
    }
    if args.json:
        print(json.dumps(plain(record), indent=1))
        return
    header = ("model", "threads", "pvnet ms", "eager ms", "twin clip ms", "eager / pvnet",
              "fastest / pvnet", "max rel. diff")  # fmt: skip
    print(table(header, [(*list(row.values())[:-1], f"{worst_of(row):.1e}") for row in rows]))


def worst_of(row: dict[str, float]) -> float:
    return row["max_relative_difference"]


if __name__ == "__main__":
    main()
