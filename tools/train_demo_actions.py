"""Train the small action models that come with the package, on synthetic videos only.

    python tools/train_demo_actions.py [--out pvnet/models/weights] [--steps N] [--student-steps N]

As tools/train_demo.py, for Par-Inception: a sequential one on clips, then a predictive one of five
stages with skips to the head, started from it. The label of a frame is what the main figure does in
it; the output of tick t is scored against the label of frame t. One thread, everything seeded.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from train_demo import HELD_OUT_SEED, normalised

import pvnet
from pvnet.models import MEAN, STD, par_inception
from pvnet.video import synthetic
from pvnet.video.synthetic import ACTIONS

HEIGHT, WIDTH = 96, 80
MODEL = {"classes": len(ACTIONS), "size": (HEIGHT, WIDTH), "width": 0.18, "clocks": "i3d"}
MODEL |= {"stages": 5, "skips": "head"}
CLIP_FRAMES = 48
WARM_UP_TICKS = 16  # about how long it takes to see what an action is


def render(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [t, h, w, 3] and labels [t]; even seeds are single actions."""
    if seed % 2 == 0:
        images, _, _, label = synthetic.clip(seed, frames, HEIGHT, WIDTH)
        return images, np.full(frames, label)
    made = list(synthetic.SyntheticVideo(seed, HEIGHT, WIDTH, frames))
    return np.stack([f.image for f in made]), np.array([f.action for f in made])


class Pool:
    """Rendered clips to draw batches from; one is replaced at every batch."""

    def __init__(self, clips: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.next_seed = 0
        self.images = np.zeros((clips, CLIP_FRAMES, HEIGHT, WIDTH, 3), np.uint8)
        self.labels = np.zeros((clips, CLIP_FRAMES), np.int64)
        for slot in range(clips):
            self.replace(slot)

    def replace(self, slot: int) -> None:
        """A new clip, of a seed never used before."""
        self.images[slot], self.labels[slot] = render(self.next_seed, CLIP_FRAMES)
        self.next_seed += 1

    def batch(self, clips: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames [b, 3, t, h, w] and labels [b, t]."""
        self.replace(int(self.rng.integers(len(self.images))))
        slots = self.rng.integers(len(self.images), size=clips)
        return normalised(self.images[slots], self.rng), torch.from_numpy(self.labels[slots])


def train(net: pvnet.nn.Network, pool: Pool, *, steps: int, clips: int, rate: float) -> None:
    """AdamW with a cosine schedule; changes `net`."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.03)
    began, mean_loss = time.monotonic(), 0.0
    net.train()
    for step in range(steps):
        factor = min(1.0, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        optimiser.param_groups[0]["lr"] = rate * max(0.01, factor)
        frames, labels = pool.batch(clips)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = net(frames)["logits"]
        logits = out.float()[:, :, WARM_UP_TICKS:]
        loss = F.cross_entropy(logits, labels[:, WARM_UP_TICKS:], label_smoothing=0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        mean_loss += (loss.item() - mean_loss) * max(0.02, 1 / (step + 1))
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - began
            print(f"step {step + 1:5d}  loss {mean_loss:.4f}  {seconds:6.0f} s", flush=True)


@torch.no_grad()
def evaluate(net: pvnet.nn.Network, *, clips: int) -> dict[str, float]:
    """Held-out videos: share of right ticks, and of right clips of a single action."""
    net.eval()
    ticks, whole = [], []
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + clips):
        images, labels = render(seed, CLIP_FRAMES)
        logits = net(normalised(images[None]))["logits"][0].T.numpy()[WARM_UP_TICKS:]
        labels = labels[WARM_UP_TICKS:]
        ticks.append(logits.argmax(axis=1) == labels)
        if seed % 2 == 0:
            scores = np.exp(logits - logits.max(axis=1, keepdims=True))
            mean = (scores / scores.sum(axis=1, keepdims=True)).mean(axis=0)
            whole.append(mean.argmax() == labels[-1])
    return {
        "tick_accuracy": float(np.concatenate(ticks).mean()),
        "clip_accuracy": float(np.mean(whole)),
    }


def save(net: pvnet.nn.Network, path: Path, scores: dict[str, float], command: str) -> None:
    """The model file, with what its outputs mean and how good they are."""
    metadata = {
        "model": "par_inception",
        "task": "actions",
        "labels": json.dumps(ACTIONS),
        "mean": json.dumps(MEAN),
        "std": json.dumps(STD),
        "trained_on": "pvnet.video.synthetic",
        "held_out": json.dumps({k: round(v, 4) for k, v in scores.items()}),
        "command": command,
    }
    pvnet.save(net, path, metadata=metadata)
    print(f"wrote {path}, {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """Train, compare on held-out videos, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pvnet/models/weights"))
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--student-steps", type=int, default=600)
    parser.add_argument("--clips", type=int, default=500, help="rendered clips kept in memory")
    parser.add_argument("--held-out", type=int, default=200, help="held-out videos")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    command = (
        f"python tools/train_demo_actions.py --steps {args.steps} "
        f"--student-steps {args.student_steps}"
    )
    args.out.mkdir(parents=True, exist_ok=True)

    def report(name: str) -> dict[str, float]:
        scores = evaluate(net, clips=args.held_out)
        print(f"{name:45s}", "  ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
        return scores

    pool = Pool(args.clips, args.seed)
    net = par_inception(wiring="sequential", **MODEL)
    train(net, pool, steps=args.steps, clips=6, rate=3e-3)
    scores = report("sequential")
    save(net, args.out / "par_inception_demo_sequential.safetensors", scores, command)
    net.rewire("pipelined")
    report("the same weights, pipelined")
    net.rewire("predictive")
    report("the same weights, predictive, not trained so")
    train(net, pool, steps=args.student_steps, clips=6, rate=1.5e-3)
    scores = report("predictive, trained")
    save(net, args.out / "par_inception_demo_predictive.safetensors", scores, command)


if __name__ == "__main__":
    main()
