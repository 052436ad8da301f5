"""Training steps on a CUDA device: as torch starts them, and captured once and replayed.

    python bench/train_steps.py [--json FILE]

Random clips of 96 x 128 pixels, mean square of the outputs as the loss, bf16 autocast, fused AdamW;
what is captured is a whole step, so the second number has no host in it. Checked before it is
timed: both ways give the same loss.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pvnet.files import write_json
from pvnet.models import par_densenet, par_inception
from pvnet.train.build import to_device

SIZE = (96, 128)
CASES: dict[str, tuple[Callable[[], Any], int, int]] = {
    "par_densenet": (lambda: par_densenet(size=SIZE, width=0.25), 32, 24),
    "par_densenet, predictive 14, skips": (
        lambda: par_densenet(size=SIZE, width=0.25, stages=14, wiring="predictive", skips="head"),
        32,
        24,
    ),
    "par_densenet, predictive 14, skips, feedback": (
        lambda: par_densenet(
            size=SIZE, width=0.25, stages=14, wiring="predictive", skips="head", feedback=1
        ),
        32,
        24,
    ),
    "par_inception": (lambda: par_inception(size=SIZE, width=0.25, classes=18), 32, 32),
    "par_inception, predictive 10, skips": (
        lambda: par_inception(
            size=SIZE, width=0.25, classes=18, stages=10, wiring="predictive", skips="head"
        ),
        32,
        32,
    ),
}


def seconds(step: Callable[[], Any], repeat: int) -> float:
    """Mean time of a step."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(repeat):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / repeat


def measure(name: str, repeat: int) -> dict[str, Any]:
    """Frames per second of one case, both ways."""
    build, batch, ticks = CASES[name]
    torch.manual_seed(0)
    device = torch.device("cuda")
    net = build().train()
    to_device(net, device, channels_last=True)
    clip = torch.randn(batch, 3, ticks, *SIZE, device=device)
    clip = clip.contiguous(memory_format=torch.channels_last_3d)
    rate = torch.tensor(1e-4, device=device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, fused=True, capturable=True)

    def step() -> torch.Tensor:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            outputs = net(clip)
        loss = sum(y.float().square().mean() for y in outputs.values())
        loss.backward()
        optimiser.step()
        return loss.detach()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    eager_s = seconds(step, repeat)
    graph = torch.cuda.CUDAGraph()
    kept = {k: v.clone() for k, v in net.state_dict().items()}
    with torch.cuda.graph(graph):
        loss = step()
    graph.replay()
    captured_loss = float(loss)
    with torch.no_grad():
        for key, value in net.state_dict().items():
            value.copy_(kept[key])
    if abs(float(step()) - captured_loss) > 1e-2 * abs(captured_loss) + 1e-4:
        raise SystemExit(f"{name}: the captured step is another one than the eager one")
    captured_s = seconds(graph.replay, repeat)
    frames = batch * ticks
    return {
        "case": name,
        "batch": batch,
        "ticks": ticks,
        "eager_frames_per_s": round(frames / eager_s),
        "captured_frames_per_s": round(frames / captured_s),
        "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def main() -> None:
    """All cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=8)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    rows = [measure(name, args.repeat) for name in CASES]
    for row in rows:
        print(
            f"{row['case']:46s} eager {row['eager_frames_per_s']:8d} frames/s, "
            f"captured {row['captured_frames_per_s']:8d} frames/s, {row['memory_gib']} GiB"
        )
    if args.json:
        device = torch.cuda.get_device_name()
        document = {"device": device, "torch": torch.__version__, "rows": rows}
        write_json(args.json, document)


if __name__ == "__main__":
    main()
