"""Train the networks of `pvnet demo catch`: where is the ball now?

    python tools/train_catch.py [--steps N] [--student-steps N]
    python tools/train_catch.py --score-only

A sequential Par-DenseNet is trained frame by frame; a predictive one of 14 stages with skips to the
head starts from it and is trained on clips, to give the ball of the frame that arrives in the same
tick. Everything is drawn and seeded; held-out throws have other seeds. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import ship_weights
import torch
from torch.nn import functional as F
from train_demo import normalised

import pvnet
from pvnet import catch
from pvnet.catch.drawing import scene
from pvnet.decode import decode_heatmaps
from pvnet.models import MEAN, STD, par_densenet

MODEL = {"joints": 1, "size": (catch.HEIGHT, catch.WIDTH), "width": 0.25, "stages": 14}
MODEL |= {"skips": "head"}
CLIP_FRAMES = 24
WARM_UP_TICKS = 14
POSITIVE_WEIGHT = 20.0
SLOWEST, FASTEST = 0.15, 5.0  # pixels of falling per tick
HELD_OUT_SEED = 1_000_000


def clips(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 [n, t, h, w, 3] and the ball's pixel x, y [n, t, 2]; paddles go after it."""
    rng = np.random.default_rng(seed)
    throws = catch.Throws(int(rng.integers(1 << 40)), n)
    scenes = np.stack([scene(s) for s in throws.scenes])
    speed = np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST), n))
    fallen = rng.uniform(-0.3, 1.0, n) * catch.FALL
    paddle = rng.uniform(0, catch.WIDTH, n)
    offset = rng.normal(0, 12, n)
    frames = np.zeros((n, CLIP_FRAMES, catch.HEIGHT, catch.WIDTH, 3), np.uint8)
    balls = np.zeros((n, CLIP_FRAMES, 2), np.float32)
    for t in range(CLIP_FRAMES):
        ball = throws.ball(fallen)
        frames[:, t], balls[:, t] = catch.draw(scenes, ball, paddle, rng), ball
        paddle = paddle + np.clip(ball[:, 0] + offset - paddle, -2 * speed, 2 * speed)
        fallen = np.where(fallen + speed > catch.FALL, 0.0, fallen + speed)
    return frames, balls


def bumps(balls: np.ndarray, *, stride: int = 4, sigma: float = 1.2) -> torch.Tensor:
    """Heatmaps [b, 1, t, h/4, w/4] with a bump (sigma in cells) at the ball."""
    cells = (balls + 0.5) / stride - 0.5
    columns = np.arange(catch.WIDTH // stride) - cells[..., 0, None]
    rows = np.arange(catch.HEIGHT // stride) - cells[..., 1, None]
    down, across = (np.exp(-0.5 * (d / sigma) ** 2) for d in (rows, columns))
    return torch.from_numpy((down[..., :, None] * across[..., None, :]).astype(np.float32))[:, None]


class Pool:
    """Clips to draw batches from; a part of them is replaced as training goes on."""

    def __init__(self, n: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.next_seed = seed * 100_000
        made = [self._make(16) for _ in range(n // 16)]
        self.frames, self.balls = (np.concatenate(part) for part in zip(*made))

    def _make(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        self.next_seed += 1
        return clips(self.next_seed, n)

    def batch(self, n: int, *, single_frames: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames [b, 3, t, h, w] and targets [b, 1, t, h/4, w/4]; t = 1 for single frames."""
        slots = self.rng.integers(len(self.frames), size=n)
        at = self.rng.integers(CLIP_FRAMES, size=(n, 1)) if single_frames else slice(None)
        rows = slots[:, None] if single_frames else slots
        frames, balls = self.frames[rows, at], self.balls[rows, at]
        out = self.rng.integers(len(self.frames), size=2)
        self.frames[out], self.balls[out] = self._make(2)
        return normalised(frames), bumps(balls)


def train(net: pvnet.nn.Network, pool: Pool, *, steps: int, n: int, rate: float, clip: bool):
    """AdamW with a cosine schedule; changes `net`."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.01)
    first = WARM_UP_TICKS if clip else 0
    net.to(memory_format=torch.channels_last_3d)
    net.train()
    began, mean_loss = time.monotonic(), 0.0
    for step in range(steps):
        factor = min(1.0, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * max(0.01, factor)
        frames, maps = pool.batch(n, single_frames=not clip)
        logits = net(frames.contiguous(memory_format=torch.channels_last_3d))["heatmaps"]
        logits, maps = logits[:, :, first:], maps[:, :, first:]
        loss = F.binary_cross_entropy_with_logits(logits, maps, 1 + POSITIVE_WEIGHT * maps)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        mean_loss += (loss.item() - mean_loss) * max(0.02, 1 / (step + 1))
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - began
            print(f"step {step + 1:5d}  loss {mean_loss:.4f}  {seconds:6.0f} s", flush=True)


@torch.no_grad()
def evaluate(net: pvnet.nn.Network, n: int = 64) -> dict[str, float]:
    """Distance of the answer of tick t from the ball of frame t, on held-out clips."""
    net.eval()
    frames, balls = clips(HELD_OUT_SEED, n)
    distances = []
    for begin in range(0, n, 8):
        rows = slice(begin, begin + 8)
        out = net(normalised(frames[rows]))["heatmaps"].transpose(1, 2).numpy()
        for maps, ball in zip(out[:, WARM_UP_TICKS:], balls[rows, WARM_UP_TICKS:]):
            size = (catch.HEIGHT, catch.WIDTH)
            found = np.stack([decode_heatmaps(m, size)[0][0] for m in maps])
            distances.append(np.linalg.norm(found - ball, axis=1))
    d = np.concatenate(distances)
    return {"median_error_px": float(np.median(d)), "within_7px": float((d <= 7).mean())}


def save(net: pvnet.nn.Network, path: Path, scores: dict[str, float], command: str) -> None:
    """The model file with 16-bit kernels, what its outputs mean and how good they are."""
    metadata = {
        "model": "par_densenet",
        "task": "catch",
        "labels": json.dumps(["ball"]),
        "mean": json.dumps(MEAN),
        "std": json.dumps(STD),
        "trained_on": "pvnet.catch (drawn by this package)",
        "held_out": json.dumps({k: round(v, 4) for k, v in scores.items()}),
        "command": command,
    }
    pvnet.save(net, path, metadata=metadata)
    ship_weights.write(path, path, {})


def main() -> None:
    """Train, compare on held-out throws, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pvnet/catch"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--student-steps", type=int, default=900)
    parser.add_argument("--student-only", action="store_true", help="keep the sequential model")
    parser.add_argument("--score-only", action="store_true", help="train nothing, write nothing")
    parser.add_argument("--clips", type=int, default=480, help="clips kept in memory")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    teacher_path = args.out / "sequential.safetensors"
    student_path = args.out / "predictive.safetensors"

    def report(name: str) -> dict[str, float]:
        scores = evaluate(net)
        print(f"{name:45s}", "  ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
        return scores

    net = par_densenet(wiring="sequential", **MODEL)
    if args.score_only or args.student_only:
        net.load_weights(pvnet.load(teacher_path).weights)
    else:
        torch.nn.init.constant_(net.get_parameter("heatmaps.bias"), -4.0)  # few cells hold a ball
        pool = Pool(args.clips, args.seed)
        train(net, pool, steps=args.steps, n=32, rate=4e-3, clip=False)
    scores = report("sequential")
    if not (args.score_only or args.student_only):
        save(net, teacher_path, scores, f"python tools/train_catch.py --steps {args.steps}")
    net.rewire("pipelined")
    report("the same weights, pipelined")
    net.rewire("predictive")
    report("the same weights, predictive, not trained so")
    if args.score_only:
        net.load_weights(pvnet.load(student_path).weights)
        report("predictive, trained")
        return
    train(net, Pool(args.clips, args.seed + 1), steps=args.student_steps, n=4, rate=3e-3, clip=True)
    scores = report("predictive, trained")
    options = f"--student-only --student-steps {args.student_steps}"
    save(net, student_path, scores, f"python tools/train_catch.py {options}")


if __name__ == "__main__":
    main()
